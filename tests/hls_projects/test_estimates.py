"""Figures known without the vendors' tools, against the graph counted by hand and the written C++."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.hls_projects import HlsProject, ProjectConfig, write_project
from hitfabric.hls_projects.estimates import bram18_blocks, estimate
from hitfabric.hls_projects.report_figure import ReportFigure
from hitfabric.hls_projects.schedule import expected_cycles
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import TypedGraph
from hitfabric.quantization.cost import graph_cost
from support.hand_graph import hand_graph


def figures(project: HlsProject) -> dict[str, ReportFigure]:
    found = estimate(project)
    assert len({figure.name for figure in found}) == len(found)
    return {figure.name: figure for figure in found}


def values(project: HlsProject) -> dict[str, float]:
    return {name: figure.value for name, figure in figures(project).items()}


def rows() -> TypedGraph:
    return TypedGraph.load(zoo_path("event-pixel") / "filter")


def test_hand_graph_by_hand(tmp_path: Path) -> None:
    project = write_project(hand_graph(), tmp_path / "hand")  # 4 nodes of 8 bits, 6 edges, weights -1 and 1
    found = values(project)
    assert found["MACs at maxima"] == 12
    assert found["weights"] == found["weights not 0"] == found["multipliers"] == 2
    assert found["weight bits"] == 8
    cost = graph_cost(project.graph)
    assert found["EBOPs at maxima"] == cost.ebops == 6 * found["LUT + 55 DSP"]  # one edge at a time
    gather = 2 * 2 * 8 * 4  # ping-pong, a copy per end, 8 bits, 4 nodes
    sums = project.graph["total"].tensor.format.width
    assert found["memory bits"] == gather + 2 * 4 * sums * 4  # ping-pong, 4 banks
    assert found["BRAM18"] == 2 * 2 + 2 * 4
    kinds = {name: figure.kind for name, figure in figures(project).items()}
    assert {name for name, kind in kinds.items() if kind == "estimated"} == {
        "multipliers",
        "LUT + 55 DSP",
        "memory bits",
        "BRAM18",
        "latency max",
        "interval max",
    }
    assert set(kinds.values()) == {"counted", "estimated"}
    assert all(figure.source for figure in figures(project).values())


def test_fifo_bits_are_those_declared(tmp_path: Path) -> None:
    project = write_project(hand_graph(), tmp_path / "hand")
    source = (project.directory / "firmware" / f"{project.name}.cpp").read_text()
    depths = [int(depth) for depth in re.findall(r"#pragma HLS STREAM variable=\w+ depth=(\d+)", source)]
    bits = values(project)["FIFO bits"]
    assert 3 * sum(depths) <= bits <= 2 * 8 * sum(depths)  # an index of 3 bits twice, at most two nodes of 8
    twice = write_project(
        hand_graph(), tmp_path / "twice", config=ProjectConfig(stream_depths={"ends": 2 * max(depths)})
    )
    assert values(twice)["FIFO bits"] > bits
    defines = project.directory / "firmware" / "defines.h"
    defines.write_text(defines.read_text().replace("nnet::array<", "my::array<"))
    with pytest.raises(GraphError, match=r"stream \w+ has a packet of unknown width"):
        estimate(project)


def test_lanes_multiply_arithmetic_and_memories(tmp_path: Path) -> None:
    one = values(write_project(hand_graph(), tmp_path / "one"))
    two = values(write_project(hand_graph(), tmp_path / "two", config=ProjectConfig(parallelism=2)))
    for name in ("multipliers", "LUT + 55 DSP"):
        assert two[name] == 2 * one[name]
    assert two["memory bits"] == 2 * one["memory bits"]  # copies x 2, the same bits each
    assert two["interval max"] < one["interval max"]
    assert two["MACs at maxima"] == one["MACs at maxima"]


def test_reuse_divides_the_arithmetic(tmp_path: Path) -> None:
    graph, cost = rows(), graph_cost(rows())
    for reuse in (1, 4):
        project = write_project(graph, tmp_path / str(reuse), config=ProjectConfig(reuse_factor=reuse))
        found = values(project)
        assert found["LUT + 55 DSP"] == math.ceil(cost.ebops / reuse)
        assert 0 <= found["multipliers"] - cost.nonzero_weights / reuse < 3  # each of three layers rounded up
        assert found["interval max"] == reuse
        assert found["memory bits"] == found["BRAM18"] == 0
        assert "FIFO bits" not in found


def test_resource_strategy_has_general_multipliers(tmp_path: Path) -> None:
    config = ProjectConfig(strategy="Resource", reuse_factor=4)
    found = values(write_project(rows(), tmp_path / "filter", config=config))
    assert "LUT + 55 DSP" not in found
    assert found["multipliers"] >= graph_cost(rows()).weights / 4


def test_throughput_design_works_on_a_whole_graph(tmp_path: Path) -> None:
    project = write_project(hand_graph(), tmp_path / "hand", config=ProjectConfig(design="throughput"))
    assert values(project)["multipliers"] == 6 * 2
    assert values(project)["memory bits"] == 0


def test_cycles_are_the_schedules(tmp_path: Path) -> None:
    project = write_project(hand_graph(), tmp_path / "hand")
    schedule = expected_cycles(project.graph, project.config)
    found = values(project)
    assert (found["latency max"], found["interval max"]) == (schedule.latency, schedule.interval)


def test_quartus_has_no_estimate_of_memories_and_cycles(tmp_path: Path) -> None:
    project = write_project(rows(), tmp_path / "filter", config=ProjectConfig(backend="Quartus"))
    assert not {"memory bits", "BRAM18", "FIFO bits", "latency max", "interval max"} & values(project).keys()
    assert values(project)["MACs per row"] == 1440


@given(width=st.integers(1, 300), depth=st.integers(1, 40_000))
def test_blocks_hold_the_memory_and_grow_with_it(width: int, depth: int) -> None:
    blocks = bram18_blocks(width=width, depth=depth)
    assert blocks * 18 * 1024 >= width * depth
    assert bram18_blocks(width=width + 1, depth=depth) >= blocks
    assert bram18_blocks(width=width, depth=depth + 1) >= blocks


@pytest.mark.parametrize(
    ("width", "depth", "blocks"), [(36, 512, 1), (37, 512, 2), (18, 1024, 1), (9, 2048, 1), (1, 16384, 1), (1, 1, 1)]
)
def test_blocks_at_the_edges_of_their_shapes(width: int, depth: int, blocks: int) -> None:
    assert bram18_blocks(width=width, depth=depth) == blocks
