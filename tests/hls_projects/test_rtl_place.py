"""Place and route on the ECP5: one small design for real, and designs that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitfabric.core import ConfigError, ToolError
from hitfabric.hls_projects.report_figure import PLACED_ECP5
from hitfabric.hls_projects.rtl_place import FULL, Placement, _harness, place

ADDER = """\
module adder (input wire clk, input wire [7:0] a, input wire [7:0] b, output reg [8:0] out);
  always @(posedge clk) out <= a + b;
endmodule
"""
PORTS = "module adder\ninput [0:0] clk\ninput [7:0] a\ninput [7:0] b\noutput [8:0] out\nendmodule\n"


@pytest.fixture
def adder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(Path.home() / ".cache" / "YoWASP"))
    (tmp_path / "adder.v").write_text(ADDER, encoding="ascii")
    return tmp_path / "adder.v"


@pytest.mark.slow
def test_a_small_design_has_a_frequency_for_each_seed(adder: Path) -> None:
    found = place([adder], "adder", seeds=(1, 2))
    assert found.fits
    assert sorted(found.frequencies) == [1, 2]
    assert all(50 < value < 1000 for value in found.frequencies.values())
    assert all(0 < share < 20 for share in found.wires.values())
    assert found.used["FF"] == 9 + 16 + 9 + 17, "the adder's, and those of the harness"
    figures = {figure.name: figure for figure in found.figures()}
    assert figures["frequency min"].value <= figures["frequency"].value <= figures["frequency max"].value
    assert {figure.kind for figure in figures.values()} == {PLACED_ECP5}
    assert place([adder], "adder", seeds=(1, 2)) == found


@pytest.mark.slow
def test_a_design_without_a_clock_is_refused(adder: Path) -> None:
    adder.write_text(ADDER.replace("clk", "tick"), encoding="ascii")
    with pytest.raises(ConfigError, match="adder has no clock; call it clk or aclk"):
        place([adder], "adder")


def test_the_harness_joins_every_port() -> None:
    text = _harness(PORTS, "adder")
    for line in (".clk(clk)", ".a(in[0+:8])", ".b(in[8+:8])", ".out(result[0+:9])", "reg [15:0] in;", "reg [8:0] out;"):
        assert line in text
    with pytest.raises(ConfigError, match="no output"):
        _harness(PORTS.replace("output [8:0] out\n", ""), "adder")


def test_a_design_that_does_not_fit_says_so() -> None:
    found = Placement(top="top", tool="nextpnr", fits=False, reason="100,000 LUT4", used={"LUT4": 100_000})
    assert found.megahertz is None
    figures = found.figures()
    assert [figure.name for figure in figures] == ["LUT4 of the ECP5"]
    assert figures[0].source == "nextpnr: 100,000 LUT4"


def test_a_full_part_is_no_other_failure() -> None:
    assert FULL.search("nextpnr-ecp5 could not place: ERROR: Unable to find legal placement for all cells")
    assert FULL.search("ERROR: Unable to place cell 'a', no Bels remaining of type 'TRELLIS_COMB'")
    assert not FULL.search("ERROR: Failed to open 'placed.json'")


def test_what_takes_too_long_is_killed(adder: Path) -> None:
    with pytest.raises(ToolError, match=r"took more than 0.02 s"):
        place([adder], "adder", seconds=0.02)
