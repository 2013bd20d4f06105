"""The Makefile's vendor targets, with stand-ins for the vendors' tools that record how they were called."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hitfabric.hls_projects import ProjectConfig
from hitfabric.hls_projects.vendor import makefile_text
from support.vendor_workbench import HLS_TOOL, IXX, NAME, QUARTUS, VPP, Workbench, make_workbench


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[str], Workbench]:
    if not Path("/usr/bin/make").exists() or any(map(shutil.which, ("vitis-run", "vivado_hls", "i++"))):
        pytest.skip("needs /usr/bin/make, and the vendors' tools absent")
    return partial(make_workbench, tmp_path)


HLS_TARGETS = ("csynth", "cosim", "export", "impl")


@pytest.mark.parametrize(
    ("backend", "tool", "product"),
    [("Vitis", "vitis-run", "AMD Vitis 2023.2"), ("Vivado", "vivado_hls", "Xilinx Vivado HLS 2019.1 to 2020.1")],
)
@pytest.mark.parametrize("target", HLS_TARGETS)
def test_a_missing_hls_tool_is_named_and_nothing_is_written(
    bench: Callable[[str], Workbench], backend: str, tool: str, product: str, target: str
) -> None:
    work = bench(backend)
    before = work.files()
    refused = work.make(target)
    assert refused.returncode != 0
    assert f"{tool} was not found: make {target} needs {product}" in refused.stderr
    assert "source its settings64.sh" in refused.stderr
    assert work.files() == before


@pytest.mark.parametrize(
    ("tool", "call"),
    [("vitis-run", "vitis-run --mode hls --tcl vendor.tcl"), ("vitis_hls", "vitis_hls -f vendor.tcl")],
)
def test_stages_of_vitis_hls(bench: Callable[[str], Workbench], tool: str, call: str) -> None:
    work = bench("Vitis")
    work.install(tool, HLS_TOOL)
    work.install("vivado")
    assert work.make("cosim").returncode == 0
    assert work.calls == [f"{call} [csynth]", f"{call} [cosim]"]
    assert work.make("csynth", "cosim").returncode == 0
    assert len(work.calls) == 2, "up to date"
    assert work.make("impl").returncode == 0
    assert work.make("export").returncode == 0
    assert work.calls[2:] == [f"{call} [impl]", f"{call} [export]"]
    (work.directory / "firmware" / f"{NAME}.cpp").write_text("2\n")
    assert work.make("csynth").returncode == 0
    assert work.calls[4:] == [f"{call} [csynth]"]
    assert work.make("clean").returncode == 0
    assert not (work.directory / f"{NAME}_prj").exists()


def test_stages_of_vivado_hls(bench: Callable[[str], Workbench]) -> None:
    work = bench("Vivado")
    work.install("vivado_hls", HLS_TOOL)
    work.install("vivado")
    assert work.make("csynth", "cosim", "impl").returncode == 0
    assert work.calls == [f"vivado_hls -f vendor.tcl [{stage}]" for stage in ("csynth", "cosim", "impl")]


TCL = """
foreach name {open_project set_top add_files open_solution config_array_partition config_compile set_part
              config_schedule create_clock set_clock_uncertainty csynth_design cosim_design export_design} {
    proc $name args "puts \\"$name \\$args\\""
}
{extra}
source vendor.tcl
"""


def run_tcl(work: Workbench, stage: str, extra: str = "") -> subprocess.CompletedProcess[str]:
    settings = {
        "project_name": NAME,
        "part": "xc",
        "clock_period": "5",
        "clock_uncertainty": "27%",
        "maximum_size": "4096",
    }
    (work.directory / "project.tcl").write_text("".join(f'set {key} "{value}"\n' for key, value in settings.items()))
    (work.directory / "stub.tcl").write_text(TCL.replace("{extra}", extra))
    environment = {"PATH": "/usr/bin:/bin", "HITFABRIC_STAGE": stage}
    command = [str(shutil.which("tclsh")), "stub.tcl"]
    return subprocess.run(command, cwd=work.directory, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
def test_the_script_of_the_stages(bench: Callable[[str], Workbench]) -> None:
    """The script of the HLS tool, run by a Tcl interpreter in which the tool's commands print themselves."""
    work = bench("Vitis")
    synthesis = run_tcl(work, "csynth").stdout.splitlines()
    assert synthesis[:3] == [
        f"open_project -reset {NAME}_prj",
        f"set_top {NAME}",
        f"add_files firmware/{NAME}.cpp -cflags -std=c++0x",
    ]
    assert synthesis[-4:] == [
        "config_schedule -enable_dsp_full_reg=false",
        "create_clock -period 5 -name default",
        "set_clock_uncertainty 27% default",
        "csynth_design ",
    ]
    reopened = [f"open_project {NAME}_prj", "open_solution solution1"]
    assert run_tcl(work, "cosim").stdout.splitlines() == [*reopened, "cosim_design -rtl verilog"]
    assert run_tcl(work, "export").stdout.splitlines() == [*reopened, "export_design -rtl verilog -format ip_catalog"]
    implementation = "export_design -flow impl -rtl verilog -format ip_catalog"
    assert run_tcl(work, "impl").stdout.splitlines() == [*reopened, implementation]
    assert run_tcl(work, "bogus").returncode == 1
    failed = run_tcl(work, "cosim", extra="proc cosim_design args {error {C TB testing failed}}")
    assert failed.returncode == 1
    assert "hitfabric: stage cosim failed: C TB testing failed" in failed.stderr


@pytest.mark.parametrize("stage", HLS_TARGETS)
def test_a_failing_stage_fails_and_is_run_again(bench: Callable[[str], Workbench], stage: str) -> None:
    work = bench("Vitis")
    work.install("vivado")
    work.install("vitis-run", HLS_TOOL)
    assert work.make("csynth").returncode == 0
    if stage == "csynth":
        (work.directory / "firmware" / f"{NAME}.cpp").write_text("2\n")
    work.install("vitis-run", status=3)
    failed = work.make(stage)
    assert failed.returncode != 0
    assert f"make {stage}: the HLS tool failed with status 3; read vitis_hls.log" in failed.stderr
    work.install("vitis-run")
    silent = work.make(stage)
    assert silent.returncode != 0
    assert f"make {stage}: the HLS tool ended without writing" in silent.stderr
    work.install("vitis-run", HLS_TOOL)
    assert work.make(stage).returncode == 0


def test_implementation_needs_vivado_too(bench: Callable[[str], Workbench]) -> None:
    work = bench("Vitis")
    work.install("vitis-run", HLS_TOOL)
    refused = work.make("impl")
    assert refused.returncode != 0
    assert "vivado was not found: make impl needs AMD Vivado of the same version" in refused.stderr
    assert not any("impl" in call for call in work.calls)


def test_cosimulation_needs_vectors(bench: Callable[[str], Workbench]) -> None:
    work = bench("Vitis")
    work.install("vitis-run", HLS_TOOL)
    (work.directory / "tb_data" / "nodes.txt").unlink()
    refused = work.make("cosim")
    assert refused.returncode != 0
    assert "tb_data holds no vectors" in refused.stderr
    assert not any("cosim" in call for call in work.calls)


PLATFORM = "PLATFORM=xilinx_u55c_gen3x16_xdma_3_202210_1"


def test_kernel_is_compiled_and_linked(bench: Callable[[str], Workbench]) -> None:
    work = bench("Vitis")
    work.install("v++", VPP)
    done = work.make("kernel", PLATFORM, "MEMORY=DDR", "TARGET=hw_emu")
    assert done.returncode == 0, done.stderr
    compiled, linked = work.calls
    common = "-t hw_emu --platform xilinx_u55c_gen3x16_xdma_3_202210_1 --save-temps --temp_dir build/kernel/_x"
    stem = f"{NAME}_kernel.hw_emu"
    assert compiled == (
        f"v++ -c {common} -k {NAME}_kernel --config kernel/compile.cfg -I. -o build/kernel/partial/{stem}.xo"
        f" kernel/{NAME}_kernel.cpp firmware/{NAME}.cpp []"
    )
    assert linked == (
        f"v++ -l {common} --config kernel/link_DDR.cfg -o build/kernel/partial/{stem}.xclbin build/kernel/{stem}.xo []"
    )
    assert (work.directory / "build" / "kernel" / f"{stem}.xclbin").read_text() == "object\n"
    assert work.make("kernel", PLATFORM, "MEMORY=DDR", "TARGET=hw_emu").returncode == 0
    assert len(work.calls) == 2, "up to date"


@pytest.mark.parametrize(
    ("arguments", "installed", "named"),
    [
        ((PLATFORM,), False, "v++ was not found: make kernel needs AMD Vitis"),
        ((), True, "PLATFORM is not set: give the platform of the card"),
        ((PLATFORM, "TARGET=gpu"), True, "TARGET is gpu: give hw, hw_emu or sw_emu"),
        ((PLATFORM, "MEMORY=SRAM"), True, "MEMORY is SRAM: give HBM or DDR"),
    ],
)
def test_what_the_kernel_needs(
    bench: Callable[[str], Workbench], arguments: tuple[str, ...], installed: bool, named: str
) -> None:
    work = bench("Vitis")
    if installed:
        work.install("v++", VPP)
    before = work.files()
    refused = work.make("kernel", *arguments)
    assert refused.returncode != 0
    assert named in refused.stderr
    assert work.files() == before
    assert work.calls == []


def test_a_failing_kernel_leaves_no_half_written_file(bench: Callable[[str], Workbench]) -> None:
    work = bench("Vitis")
    work.install("v++", VPP, status=1)
    failed = work.make("kernel", PLATFORM)
    assert failed.returncode != 0
    assert "make kernel: v++ compile failed with status 1" in failed.stderr
    assert not list((work.directory / "build" / "kernel").glob("*.x*"))
    work.install("v++", 'while [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done')
    assert "v++ compile ended without writing" in work.make("kernel", PLATFORM).stderr
    assert not list((work.directory / "build" / "kernel").glob("*.x*"))


def test_stages_of_quartus(bench: Callable[[str], Workbench]) -> None:
    work = bench("Quartus")
    before = work.files()
    refused = work.make("csynth")
    assert "i++ was not found: make csynth needs the Intel HLS Compiler Pro Edition" in refused.stderr
    assert work.files() == before
    work.install("i++", IXX)
    assert "vsim was not found: make cosim needs Questa" in work.make("cosim").stderr
    assert "quartus_sh was not found: make impl needs Intel Quartus Prime Pro" in work.make("impl").stderr
    work.install("vsim")
    work.install("quartus_sh", QUARTUS)
    assert work.make("cosim", "impl").returncode == 0
    assert work.calls == [
        f"i++ -v -march=Arria10 --clock 5ns {NAME}_test.cpp firmware/{NAME}.cpp -o {NAME}-fpga []",
        "ran",
        "quartus_sh --flow compile quartus_compile []",
    ]


@pytest.mark.parametrize(
    ("tool", "target", "named"),
    [
        ("i++", "csynth", "make csynth: i++ failed with status 4"),
        ("quartus_sh", "impl", "make impl: quartus_sh failed with status 4"),
    ],
)
def test_a_failing_tool_of_quartus(bench: Callable[[str], Workbench], tool: str, target: str, named: str) -> None:
    work = bench("Quartus")
    work.install("i++", IXX)
    work.install("vsim")
    work.install("quartus_sh", QUARTUS)
    work.install(tool, status=4)
    failed = work.make(target)
    assert failed.returncode != 0
    assert named in failed.stderr


@pytest.mark.parametrize("backend", ["Vivado", "Quartus"])
@pytest.mark.parametrize("target", ["kernel", "kernel-csim"])
def test_no_kernel_without_vitis(bench: Callable[[str], Workbench], backend: str, target: str) -> None:
    refused = bench(backend).make(target)
    assert refused.returncode != 0
    assert f"make {target} needs backend Vitis, this project is for {backend}" in refused.stderr


def test_the_part_is_the_configured_one() -> None:
    text = makefile_text("hitfabric_x", ProjectConfig(backend="Quartus", part="Stratix10", clock_period=2.5))
    assert "-march=Stratix10 --clock 2.5ns" in text
    assert "part xcu55c" in makefile_text("hitfabric_x", ProjectConfig(part="xcu55c-fsvh2892-2L-e"))
