"""What `hitfabric build --rtl` records of a design, here one of a few gates, synthesised for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hitfabric.cli.rtl_tables import print_rtl
from hitfabric.core import ToolError
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_fields import Core
from hitfabric.hls_projects.rtl_project import RtlPass, RtlProject
from hitfabric.pipeline import build_rtl as module
from hitfabric.pipeline.build_rtl import RtlRecord, build_rtl
from hitfabric.quantization import TypedGraph
from support.hand_graph import hand_graph

TOP = """\
module top (input wire clk, input wire [3:0] a, output reg [3:0] out);
  wire [1:0] low, high;
  core_edges1 lane0 (.clk(clk), .row_in(a[1:0]), .row_out(low));
  core_edges1 lane1 (.clk(clk), .row_in(a[3:2]), .row_out(high));
  always @(posedge clk) out <= {high, low};
endmodule
"""
CORE = """\
module core_edges1 (input wire clk, input wire [1:0] row_in, output reg [1:0] row_out);
  always @(posedge clk) row_out <= {row_in[0] ^ row_in[1], row_in[0] & row_in[1]};
endmodule
"""


def write(graph: TypedGraph, directory: Path, *, config: RtlConfig) -> RtlProject:
    directory.mkdir(parents=True)
    files = (directory / "top.v", directory / "core.v")
    for path, text in zip(files, (TOP, CORE), strict=True):
        path.write_text(text, encoding="ascii")
    core = Core(
        name="core_edges1", inputs=(), outputs=(), latency=1, sources=files[1:], lut_estimate=2.0, register_bits=2
    )
    return RtlProject(
        directory=directory,
        top="top",
        graph=graph,
        sources=files,
        streams=(),
        config=config,
        passes=(RtlPass(name="edges1", domain="E", lanes=2, latency=3, buffers=2),),
        cores=(core,),
    )


@pytest.fixture(autouse=True)
def _a_small_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "write_rtl_project", write)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(Path.home() / ".cache" / "YoWASP"))


def test_figures_and_modules_are_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = RtlConfig(edge_lanes=2)
    result = build_rtl({"small": hand_graph()}, tmp_path, config, synthesise=True, place_seeds=(), seconds=300)
    (record,) = result.records
    figures = {name: {item.kind: item.value for item in items} for name, items in record.figures.items()}
    assert figures["FF"] == {"synthesised (Yosys)": 8.0}
    assert figures["LUT"] == {"synthesised (Yosys)": 4.0}
    assert figures["LUT of the cores"] == {"estimated": 4.0}, "2 LUTs in each of two lanes"
    assert figures["pipeline depth"] == {"counted": 3.0}
    assert list(figures["frequency"]) == ["estimated"]
    assert {item.name: item.instances for item in record.modules} == {"core_edges1": 2, "top": 1}
    stored = json.loads((tmp_path / "rtl.json").read_text(encoding="utf-8"))
    assert [RtlRecord.model_validate(item) for item in stored] == [record]
    print_rtl(result, folder=tmp_path)
    printed = capsys.readouterr().out
    assert "core_edges1" in printed
    assert "no vendor's result" in printed


def test_without_synthesis_no_cells_are_told(tmp_path: Path) -> None:
    result = build_rtl({"small": hand_graph()}, tmp_path, RtlConfig(), synthesise=False, place_seeds=(), seconds=300)
    assert set(result.records[0].figures) == {"pipeline depth", "register bits of a core of each kind"}
    assert result.records[0].modules == ()


def test_a_tool_that_takes_too_long_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"yosys took more than 0.01 s"):
        build_rtl({"small": hand_graph()}, tmp_path, RtlConfig(), synthesise=True, place_seeds=(), seconds=0.01)
