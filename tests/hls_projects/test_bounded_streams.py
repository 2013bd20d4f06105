"""Streams of a dataflow project: depths declared to synthesis, and the top function with bounded streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitfabric.core import GraphError
from hitfabric.hls_projects import HlsProject, ProjectConfig, compile_csim, project_streams, write_project
from hitfabric.hls_projects.streams import read_dataflow
from hitfabric.quantization import GraphBuilder, TypedGraph
from support.hand_graph import A8, hand_graph

TOP = """void top(
    hls::stream<input_t> &in, hls::stream<result_t> &out
) {
    #pragma HLS INTERFACE axis port=in,out
    #pragma HLS DATAFLOW

    hls::stream<mid_t> mid("mid");
    #pragma HLS STREAM variable=mid depth=7

    nnet::one<input_t, mid_t, config2>(in, mid, w2); // first
#ifndef __SYNTHESIS__
    nnet::save_layer_output<mid_t>(mid, "first", 7*2);
#endif

    // second
    nnet::two<mid_t, result_t>(mid, out);

}
"""


def test_top_function_is_read_whole() -> None:
    dataflow = read_dataflow(TOP, inputs=1)
    assert [(stream.name, stream.depth, str(stream)) for stream in dataflow.streams] == [
        ("mid", 7, "mid (first to second)")
    ]
    assert [call.text for call in dataflow.calls] == [
        "nnet::one<input_t, mid_t, config2>(in, mid, w2);",
        "nnet::two<mid_t, result_t>(mid, out);",
    ]
    assert dataflow.inputs == ("in",)
    assert dataflow.traced == {"first": "mid"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    #pragma HLS DATAFLOW\n", "", "no top function with DATAFLOW"),
        ("    // second\n", "    int x = 3;\n", "the line 'int x = 3;'"),
        ("    #pragma HLS STREAM variable=mid depth=7\n", "", r"streams without a depth: \['mid'\]"),
        ("depth=7", "depth=0", "variable=mid depth=0"),
        ("nnet::two<mid_t, result_t>(mid, out);", "nnet::two(in, out);", r"stream mid used by \['first'\]"),
        ('mid("mid")', 'mid("other")', "the line 'hls::stream<mid_t> mid"),
    ],
)
def test_what_is_not_known_is_refused(old: str, new: str, told: str) -> None:
    assert old in TOP
    with pytest.raises(GraphError, match=told):
        read_dataflow(TOP.replace(old, new), inputs=1)


def write(directory: Path, **settings: object) -> HlsProject:
    return write_project(hand_graph(), directory, config=ProjectConfig.model_validate(settings))


def depths(project: HlsProject) -> dict[str, int]:
    """Declared depth by the layers a stream joins."""
    return {f"{stream.writer} to {stream.reader}": stream.depth for stream in project_streams(project)}


def test_depths_reach_the_pragmas_of_the_firmware(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain")
    before = depths(plain)
    assert min(before.values()) > 3
    copies = [name for name in before if name.startswith("clone_edge_index_in ")]
    one = next(
        stream.name for stream in project_streams(plain) if str(stream).endswith("(clone_edge_index_in to total)")
    )
    set_depths = {"ends": 3, "edge_index_in": 2, one: 1}
    changed = write(tmp_path / "changed", stream_depths=set_depths)
    after = depths(changed)
    assert after == before | {"ends to difference": 3} | dict.fromkeys(copies, 2) | {"clone_edge_index_in to total": 1}
    assert len(copies) == 2
    text = (changed.directory / "firmware" / f"{changed.name}.cpp").read_text()
    assert f"#pragma HLS STREAM variable={one} depth=1\n" in text
    assert f"network.declare({one}.fifo(), 1, " in (changed.directory / "bounded" / f"{changed.name}.cpp").read_text()
    assert HlsProject.load(changed.directory).config.stream_depths == set_depths


@pytest.mark.parametrize("name", ["nowhere", "nodes_in", "clipped"])  # clipped is behind a port
def test_unknown_layers_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=f"stream_depths names {name}, but no stream is behind .*; use some of .*ends"):
        write(tmp_path / "project", stream_depths={name: 4})
    assert list(tmp_path.iterdir()) == []


def test_a_changed_bounded_source_is_noticed(tmp_path: Path) -> None:
    project = write(tmp_path / "project")
    (project.directory / "bounded" / "fifo.h").write_text("// nothing")
    with pytest.raises(GraphError, match=r"bounded/fifo.h differs from project.json"):
        HlsProject.load(project.directory)


def test_designs_without_fifos_are_refused(tmp_path: Path) -> None:
    builder = GraphBuilder()
    builder.output("again", builder.requantize("same", builder.input("x", shape=("R", 2), format=A8), format=A8))
    rows = write_project(TypedGraph.from_builder(builder, name="rows"), tmp_path / "rows")
    with pytest.raises(GraphError, match="rows is io_parallel: it has no FIFOs; use the dataflow design"):
        compile_csim(rows, bounded=True)
    quartus = write(tmp_path / "quartus", backend="Quartus")
    with pytest.raises(GraphError, match="not simulated for the Quartus backend; use one of Vitis, Vivado"):
        compile_csim(quartus, bounded=True)
    with pytest.raises(GraphError, match="stream_depths cannot be set for the Quartus backend"):
        write(tmp_path / "deep", backend="Quartus", stream_depths={"ends": 4})
    assert not (quartus.directory / "bounded").exists()
