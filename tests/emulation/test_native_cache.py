"""The cache of compiled networks: concurrent builds, kills, read-only folders, missing compilers, damaged files."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hitfabric.core import ToolError
from hitfabric.emulation.native_build import KERNELS, native_library
from hitfabric.emulation.native_library import NativeLibrary
from hitfabric.emulation.native_plan import plan
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import TypedGraph
from support.drawn import drawn
from support.hand_graph import hand_graph
from support.native_networks import activation, messages, perceptron_of, requantized, unlike_grids
from support.processes import eventually
from support.random_graphs import graph_networks, row_networks

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
ANSWER = "native [0, 2, 15]"
PROGRAM = """
import numpy as np
from hitfabric.core import HitfabricError
from hitfabric.emulation import make_executor
from support.hand_graph import hand_graph
inputs = {
    "nodes": np.array([[1.0], [3.0], [10.9]], dtype=np.float32),
    "edge_index": np.array([[0, 1], [0, 2], [1, 2], [2, 0], [0, 3], [3, 3]]),
}
try:
    executor = make_executor("native", hand_graph())
    print(executor.name, executor.run_integers(inputs)["result"][:, 0].tolist())
except HitfabricError as error:
    print(error)
"""
FAULTY = Path(__file__).parent / "cpp" / "faulty_network.cpp"
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-maybe-uninitialized")
"""g++ says of its own header of intrinsics that it may use what is not initialised (undefined vectors, on purpose)."""


def start(cache: Path, *, path: str | None = None, keeps_permissions: bool = False) -> subprocess.Popen[str]:
    """A process of its own that compiles the network of `PROGRAM`, or finds it, and computes."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(Path(__file__).parents[1])}
    environment |= {} if path is None else {"PATH": path}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_without_privileges if keeps_permissions else None,
    )


def _without_privileges() -> None:
    """Root ignores the permissions of files unless it gives that up."""
    drop_from_bounding_set, overrides, read_search = 24, 1, 2
    libc = ctypes.CDLL(None)
    for capability in (overrides, read_search):
        libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)


def said(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed, and its warnings."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip(), err


def names(cache: Path) -> list[str]:
    """Files of the cache, by what they are."""
    return sorted(path.name.split("-")[0] + path.suffix for path in (cache / "hitfabric" / "native").iterdir())


def libraries(cache: Path) -> list[Path]:
    """Libraries of networks."""
    found = (cache / "hitfabric" / "native").glob("*.so")
    return [path for path in found if not path.name.startswith("processor-")]


def read_only(cache: Path) -> None:
    """Nobody writes to the folder any more."""
    for folder in (cache, *(path for path in cache.rglob("*") if path.is_dir())):
        folder.chmod(0o555)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A cache with the network of `PROGRAM`."""
    cache = tmp_path / "filled"
    assert said(start(cache)) == (ANSWER, "")
    return cache


@pytest.fixture
def no_tools(tmp_path: Path) -> str:
    """A PATH without a compiler."""
    (tmp_path / "bin").mkdir()
    return str(tmp_path / "bin")


@needs_compiler
def test_concurrent_builds_give_one_library_and_leave_nothing_else(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(5)]
    assert [said(process) for process in processes] == [(ANSWER, "")] * 5
    assert len(libraries(tmp_path)) == 1
    assert names(tmp_path) == sorted(["entry.o", "processor.so", libraries(tmp_path)[0].name.split("-")[0] + ".so"])
    before = libraries(tmp_path)[0].stat().st_mtime_ns
    assert said(start(tmp_path)) == (ANSWER, "")
    assert libraries(tmp_path)[0].stat().st_mtime_ns == before, "compiled a second time"


@needs_compiler
def test_a_build_that_is_killed_leaves_no_half_library(tmp_path: Path) -> None:
    """The compiler is stopped when it has written half of the network's library."""
    tools, cache = tmp_path / "bin", tmp_path / "cache"
    tools.mkdir()
    marker = tmp_path / "half"
    (tools / "g++").write_text(
        "#!/bin/bash\n"
        f'case "$*" in *-shared*info.o*) for a; do [ "$last" = -o ] && echo half > "$a"; last=$a; done; touch {marker};'
        f' sleep 120;; *) exec {shutil.which("g++")} "$@";; esac\n'
    )
    (tools / "g++").chmod(0o755)
    process = start(cache, path=f"{tools}:{os.environ['PATH']}")
    assert eventually(lambda: marker.exists() or process.poll() is not None, seconds=120)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert libraries(cache) == []
    assert said(start(cache)) == (ANSWER, "")
    assert len(libraries(cache)) == 1


@needs_compiler
def test_a_read_only_cache_with_the_library_will_do(filled: Path) -> None:
    read_only(filled)
    assert said(start(filled, keeps_permissions=True)) == (ANSWER, "")


@needs_compiler
@pytest.mark.parametrize("made", [False, True])
def test_a_read_only_cache_without_the_library_is_an_error(made: bool, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "hitfabric" / "native" if made else cache).mkdir(parents=True)
    read_only(cache)
    out, _ = said(start(cache, keeps_permissions=True))
    folder = cache / "hitfabric" / "native"
    assert out.startswith(f"cannot write to {folder}; set XDG_CACHE_HOME" if made else f"cannot write {cache}")
    assert "set XDG_CACHE_HOME" in out and "\n" not in out


@needs_compiler
def test_a_cached_library_needs_no_compiler(filled: Path, no_tools: str) -> None:
    assert said(start(filled, path=no_tools)) == (ANSWER, "")
    read_only(filled)
    assert said(start(filled, path=no_tools, keeps_permissions=True)) == (ANSWER, "")


@pytest.mark.parametrize("writable", [True, False])
def test_without_compiler_and_library_numpy_computes(writable: bool, tmp_path: Path, no_tools: str) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    if not writable:
        read_only(cache)
    out, warned = said(start(cache, path=no_tools, keeps_permissions=not writable))
    assert out == "numpy [0, 2, 15]"
    assert "no C++ compiler" in warned


@needs_compiler
@pytest.mark.parametrize("with_compiler", [True, False])
def test_a_library_that_was_cut_off_is_named(with_compiler: bool, filled: Path, no_tools: str) -> None:
    (library,) = libraries(filled)
    os.truncate(library, library.stat().st_size // 2)
    out, _ = said(start(filled, path=None if with_compiler else no_tools))
    assert out == f"cannot load {library}: the file is cut off; delete it: it is compiled anew"
    library.unlink()
    assert said(start(filled)) == (ANSWER, "")


@needs_compiler
@pytest.mark.parametrize("size", [0, 10, 64, 1000, -1])
def test_any_cut_is_noticed(size: int, filled: Path, tmp_path: Path) -> None:
    whole = libraries(filled)[0].read_bytes()
    cut = tmp_path / "cut.so"
    cut.write_bytes(whole[:size])
    with pytest.raises(ToolError, match=r"cannot load .*cut\.so: .*cut off"):
        NativeLibrary(cut, None)


def test_a_file_that_is_no_library_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.so"
    path.write_text("no library at all, and longer than a header; " * 5)
    with pytest.raises(ToolError, match=r"cannot load .*text\.so: .*delete it"):
        NativeLibrary(path, None)
    with pytest.raises(ToolError, match=r"cannot load .*none\.so"):
        NativeLibrary(tmp_path / "none.so", None)


@needs_compiler
@pytest.mark.parametrize(
    ("defines", "instructions", "named"),
    [
        (["-DVERSION=1"], None, r"one\.so has interface 1, not \d+; delete it"),
        (['-DINSTRUCTIONS=""'], None, r"one\.so has no code for this processor"),
        ([], "avx2", "no avx2 code for this processor; use one of plain"),
        (None, None, r"cannot load .*one\.so: .*hitfabric_abi_version"),
    ],
)
def test_a_library_of_something_else_is_named(
    defines: Sequence[str] | None, instructions: str | None, named: str, tmp_path: Path
) -> None:
    path, source = tmp_path / "one.so", FAULTY
    if defines is None:
        source = tmp_path / "other.cpp"
        source.write_text("int other() { return 1; }\n")
    command = ["g++", "-shared", "-fPIC", "-DFAULT=0", *(defines or ()), f"-I{KERNELS}", str(source), "-o", str(path)]
    subprocess.run(command, check=True, timeout=60)
    with pytest.raises(ToolError, match=named):
        NativeLibrary(path, instructions)


STRICT_NETWORKS: Mapping[str, TypedGraph] = {
    "rows": drawn(row_networks(bits=24), seed=11),
    "graph": drawn(graph_networks(bits=16), seed=12),
    "matrices": perceptron_of([activation(8, 3, signed=False)] * 3, [70, 40, 24, 3], seed=1, zeros=0.5),
    "wide": requantized(activation(62, 10), [activation(40, 2, rounding="RND_CONV")]),
    "sums": messages(activation(20, 6), activation(26, 22)),
    "unlike": unlike_grids(seed=5),
    "shipped": TypedGraph.load(zoo_path("sector-in-8")),
}


@needs_compiler
@pytest.mark.parametrize(
    "name",
    [name if name in ("wide", "sums") else pytest.param(name, marks=pytest.mark.slow) for name in STRICT_NETWORKS],
)
def test_generated_code_and_kernels_give_no_warning(name: str) -> None:
    assert native_library(plan(STRICT_NETWORKS[name]), extra_flags=STRICT).exists()


@needs_compiler
def test_a_warning_would_be_found() -> None:
    with pytest.raises(ToolError, match="old-style"):
        native_library(plan(hand_graph()), instructions=["plain"], extra_flags=[*STRICT, "-Wold-style-cast"])
