"""The library of a network as other languages see it: from plain C, without Python."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from hitfabric.emulation import make_executor
from hitfabric.emulation.native_build import KERNELS, native_library
from hitfabric.emulation.native_library import ABI_VERSION, Call
from hitfabric.emulation.native_plan import plan
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import GraphBuilder, Maxima, TypedGraph
from support.hand_graph import A8, hand_graph
from support.native_driver import call_native
from support.native_networks import activation, perceptron_of
from support.random_graphs import random_inputs

CHECKER = Path(__file__).parent / "cpp" / "check_interface.c"
FEW_THREADS = Path(__file__).parent / "cpp" / "few_threads.c"
EXAMPLE = Path(__file__).parents[2] / "examples" / "native_from_c" / "run_network.c"
HEADER = KERNELS / "hitfabric_native.h"


@cache
def c_program(source: Path) -> Path:
    """A C program, compiled as strictly as there is a compiler for."""
    program = Path(mkdtemp(prefix="native_from_c")) / source.stem
    if shutil.which("gcc") is not None:
        compiler = ["gcc", "-std=c11", "-pedantic"]
    elif shutil.which("g++") is not None:
        pytest.skip("no gcc: the programs are C, not C++")
    else:
        pytest.skip("no C compiler")
    strict = ["-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{KERNELS}"]
    subprocess.run([*compiler, *strict, str(source), "-o", str(program), "-ldl", "-lm"], check=True, timeout=120)
    return program


def library_of(graph: TypedGraph) -> Path:
    return native_library(plan(graph))


def answers(graph: TypedGraph) -> dict[str, list[str]]:
    """What the checking program prints, by the first word of the line."""
    done = subprocess.run(
        [str(c_program(CHECKER)), str(library_of(graph))], capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, list[str]] = defaultdict(list)
    for line in done.stdout.splitlines():
        name, _, rest = line.partition(" ")
        found[name].append(rest)
    return found


def raw_sums() -> TypedGraph:
    """A network that is exact for six edges only: it gives a sum over edges as it is."""
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=6))
    edges, index = builder.input("edges", shape=("E", 1), format=A8), builder.edge_index("edge_index")
    nodes = builder.input("nodes", shape=("N", 1), format=A8)
    builder.output("result", builder.concat("joined", [nodes, builder.edge_aggregate("total", edges, index)]))
    return TypedGraph.from_builder(builder, name="raw_sums")


def test_names_and_limits() -> None:
    found = answers(hand_graph())
    assert found["version"] == [str(ABI_VERSION)]
    assert found["maximal_edges"] == [str(2**31 - 1)]
    assert found["instructions"][0].split()[-1] == "plain"
    assert (found["input-1"], found["input0"], found["input1"]) == (
        ["NULL"],
        ["nodes N 1 float32"],
        ["edge_index E 2 int64"],
    )
    assert (found["output0"], found["output1"]) == (["result N 1 float32"], ["NULL"])
    taps = [f"{node.name} {node.tensor.shape[0]} {node.tensor.width} int64" for node in hand_graph().visible]
    assert [found[f"tap{k}"] for k in range(len(taps) + 1)] == [[text] for text in (*taps, "NULL")]
    messages = [found[f"message{status}"][0] for status in range(8)]
    assert len(set(messages)) == 8 and messages[7] == "unknown status"


@pytest.mark.parametrize("graph", [hand_graph(), raw_sums()], ids=["hand", "raw_sums"])
def test_statuses(graph: TypedGraph) -> None:
    found = answers(graph)
    ok, refused = "0 -1 -1", "2 -1 -1"
    expected = {
        **{key: [refused] for key in ("negative_nodes", "edges_of_2_to_31", "least_rows", "no_inputs", "no_taps")},
        **{key: [ok] for key in ("nothing", "plain_and_negative_threads", "most_threads", "largest_index")},
        **{key: [ok] for key in ("null_output_and_tap", "usual", "usual_again")},
        **{key: ["6 -1 -1"] for key in ("unknown_instructions", "empty_instructions")},
        **{key: ["1"] for key in ("left_alone", "written")},
        "wrong_count": [refused] * 3,
        "out_of_memory": ["1 -1 -1"],
    }
    assert {name: found[name] for name in expected} == expected
    inputs = [node.name for node in graph.inputs]
    assert found["not_finite"] == [f"3 {inputs.index('nodes')} 0"] * 3
    assert found["negative_index"] == found["least_index"] == [f"4 {inputs.index('edge_index')} 1"]
    assert found.get("too_many_edges") == (["5 -1 -1"] if graph.name == "raw_sums" else None)


def test_the_structure_is_the_header_s(tmp_path: Path) -> None:
    """Python's copy of the arguments has the places that a C compiler gives them."""
    fields = [name for name, _ in Call._fields_]
    lines = "".join(f'printf("%zu ", offsetof(struct hitfabric_call, {name}));' for name in fields)
    source = tmp_path / "offsets.c"
    source.write_text(
        '#include <stddef.h>\n#include <stdio.h>\n#include "hitfabric_native.h"\n'
        f'int main(void) {{ {lines} printf("%zu", sizeof(struct hitfabric_call)); return 0; }}\n'
    )
    printed = subprocess.run([str(c_program(source))], capture_output=True, text=True, check=True).stdout
    assert [int(word) for word in printed.split()] == [
        *(getattr(Call, name).offset for name in fields),
        ctypes.sizeof(Call),
    ]


@pytest.mark.parametrize("language", ["c11", "c99", "c++17", "c++11"])
def test_the_header_alone_is_clean(language: str, tmp_path: Path) -> None:
    compiler = "g++" if "++" in language else "gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    source = tmp_path / ("header.cpp" if "++" in language else "header.c")
    source.write_text('#include "hitfabric_native.h"\n#include "hitfabric_native.h"\nint main(void) { return 0; }\n')
    strict = [f"-std={language}", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{KERNELS}"]
    subprocess.run([compiler, *strict, str(source)], check=True, timeout=60)


def test_the_library_needs_neither_python_nor_openmp_and_shows_only_its_interface() -> None:
    library = library_of(hand_graph())
    needed = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True, check=True).stdout
    names = {line.split("[")[1].split(".so")[0] for line in needed.splitlines() if "(NEEDED)" in line}
    assert names <= {"libstdc++", "libm", "libgcc_s", "libc", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"}
    symbols = subprocess.run(["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True)
    kinds = [line.split()[-2:] for line in symbols.stdout.splitlines()]
    shown = {name.split("@")[0] for kind, name in kinds if kind == "T"}
    declared = set(re.findall(r"\b(hitfabric_\w+)\([^)]", HEADER.read_text()))
    assert shown == declared and len(shown) == 9


@pytest.mark.parametrize("left", [1, 2, 3, 100])
def test_threads_that_cannot_be_started_are_done_without(left: int, tmp_path: Path) -> None:
    """The program starts one thread itself; the call has what is left of those the system gives."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    preloaded = tmp_path / "few_threads.so"
    strict = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *strict, str(FEW_THREADS), "-o", str(preloaded), "-ldl"], check=True, timeout=60)
    graph = perceptron_of([activation(8, 3)] * 2, [5, 9, 3], seed=1)
    library = native_library(plan(graph), instructions=["plain"])
    case = random_inputs(graph, seed=1, sizes={"R": 400_000})
    environment = {"LD_PRELOAD": str(preloaded), "THREADS_LEFT": str(left)}
    (result,) = call_native(library, graph, [case], tmp_path, callers=1, threads=8, environment=environment)
    with pytest.raises(AssertionError, match="exit code"):  # the program's own thread cannot be started either
        call_native(library, graph, [case], tmp_path, callers=1, environment=environment | {"THREADS_LEFT": "0"})
    assert result.status == 0
    for name, expected in make_executor("golden", graph).run(case).items():
        assert np.array_equal(result.outputs[name], expected)


@pytest.mark.parametrize("network", ["rows", "graph", "event-pixel/embedding", "sector-in-8"])
def test_the_example_computes_what_golden_does(network: str, tmp_path: Path) -> None:
    made = {"rows": lambda: perceptron_of([activation(8, 3)] * 2, [5, 9, 3], seed=1), "graph": hand_graph}
    chain, _, name = network.partition("/")
    graph = made[network]() if network in made else TypedGraph.load(zoo_path(chain) / name)
    inputs = random_inputs(graph, seed=3, sizes={"R": 70, "N": 40, "E": 90})
    for name, array in inputs.items():
        array.tofile(tmp_path / name)
    files = [str(tmp_path / node.name) for node in graph.inputs] + [
        str(tmp_path / f"{node.name}.out") for node in graph.outputs
    ]
    subprocess.run([str(c_program(EXAMPLE)), str(library_of(graph)), "2", *files], check=True, timeout=60)
    for name, expected in make_executor("golden", graph).run(inputs).items():
        assert np.array_equal(np.fromfile(tmp_path / f"{name}.out", np.float32).reshape(expected.shape), expected)


def test_the_example_describes_and_refuses(tmp_path: Path) -> None:
    program, library = str(c_program(EXAMPLE)), str(library_of(hand_graph()))

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)

    told = call(library)
    assert (told.returncode, told.stdout.splitlines()) == (
        0,
        ["input nodes N 1 float32", "input edge_index E 2 int64", "output result N 1 float32"],
    )
    np.array([[np.nan]], np.float32).tofile(tmp_path / "nodes")
    np.zeros((2, 2), np.int64).tofile(tmp_path / "edges")
    (tmp_path / "odd").write_bytes(b"12345")
    nodes, edges, odd, out = (str(tmp_path / name) for name in ("nodes", "edges", "odd", "out"))
    for arguments, named in (
        ((library, "1", nodes, edges, out), "NaN"),
        ((library, "1", odd, edges, out), "odd: does not hold whole rows"),
        ((library, "1", nodes, str(tmp_path / "none"), out), "none: cannot be read"),
        ((library, "1", nodes, out), "give a file"),
        ((str(tmp_path / "none.so"),), "none.so"),
        ((), "usage"),
    ):
        refused = call(*arguments)
        assert refused.returncode == 1 and named in refused.stderr, refused
    assert not (tmp_path / "out").exists()
