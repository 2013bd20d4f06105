"""Engines are written for every kind of network, without a warning of the linter, and compute what golden computes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import GraphError
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.emulation.rtl import RtlExecutor
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_project import RtlProject, write_rtl_project
from hitfabric.hls_projects.rtl_verilator import UNLIMITED_STACK, find_verilator
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.hand_graph import A8, hand_graph
from support.message_passing import odd_network, odd_rows, rounds_network
from support.random_graphs import random_inputs

pytestmark = pytest.mark.filterwarnings("ignore:.*plain shift-add takes its place")

QUICK = 0.01  # plain shift-add: these tests are about the engine
SMALL = Maxima(nodes=10, edges=20)
LANES = RtlConfig(edge_lanes=3, node_lanes=4, update_lanes=2, solver_seconds=QUICK)


def lint(project: RtlProject) -> str:
    verilator = find_verilator()
    command = [str(verilator.executable), "--lint-only", "-Wall", "--top-module", project.top]
    environment = os.environ | ({"VERILATOR_ROOT": str(verilator.root)} if verilator.packaged else {})
    done = subprocess.run(
        [*UNLIMITED_STACK, *command, *map(str, project.sources)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    return done.stderr + "failed" * (done.returncode != 0)


def edges_only(mode: str = "sum") -> TypedGraph:
    """No features of nodes go in, and nothing is computed: indices, sums and outputs alone."""
    builder = GraphBuilder(maxima=SMALL)
    edges, index = builder.input("edges", shape=("E", 2), format=A8), builder.edge_index("edge_index")
    total = builder.edge_aggregate("total", edges, index, mode=mode, column=0)  # type: ignore[arg-type] - a literal
    builder.output("ends", builder.edge_gather("back", total, index))
    builder.output("sums", total)
    return TypedGraph.from_builder(builder, name="edges_only")


@pytest.mark.parametrize(
    ("graph", "config"),
    [
        (hand_graph(), LANES.model_copy(update={"scatter": "ordered"})),
        (hand_graph("max"), RtlConfig(edge_lanes=1, node_lanes=1)),
        (hand_graph(), LANES.model_copy(update={"node_memory": "distributed"})),
        (odd_network(SMALL), LANES),
        (odd_rows(), RtlConfig(row_lanes=3, solver_seconds=QUICK)),
        (rounds_network(2, maxima=SMALL, residual=True), LANES.model_copy(update={"update_lanes": 8})),
        (edges_only(), LANES),
    ],
    ids=["ordered", "one lane", "block", "odd", "rows", "rounds", "edges only"],
)
def test_engines_are_clean(graph: TypedGraph, config: RtlConfig, tmp_path: Path) -> None:
    assert lint(write_rtl_project(graph, tmp_path / "project", config=config)) == ""


def test_every_pass_and_stream_is_named(tmp_path: Path) -> None:
    project = write_rtl_project(rounds_network(1, maxima=SMALL, residual=True), tmp_path / "project", config=LANES)
    assert [(item.name, item.lanes) for item in project.passes] == [
        ("edges0", 3),
        ("nodes0", 4),
        ("edges1", 3),
        ("nodes2", 2),
        ("edges3", 3),
    ]
    assert all(item.latency > 0 and item.buffers & (item.buffers - 1) == 0 for item in project.passes)
    assert [stream.name for stream in project.streams] == ["s_axis_edges", "s_axis_nodes", "m_axis_edges"]
    assert project.edge_order is None


def test_order_is_by_the_column_summed_at(tmp_path: Path) -> None:
    config = RtlConfig(edge_lanes=2, node_lanes=2, scatter="ordered")
    assert write_rtl_project(hand_graph(), tmp_path / "receiver", config=config).edge_order == 1
    assert write_rtl_project(edges_only(), tmp_path / "sender", config=config).edge_order == 0


def test_no_order_serves_sums_at_both_ends(tmp_path: Path) -> None:
    graph = rounds_network(1, maxima=SMALL, residual=True)
    with pytest.raises(GraphError, match=r"both ends of its edges.*scatter: banked"):
        write_rtl_project(graph, tmp_path / "project", config=RtlConfig(scatter="ordered", solver_seconds=QUICK))
    assert list(tmp_path.iterdir()) == [], "nothing is left half written"


def test_what_the_header_cannot_count_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="32769 nodes"):
        write_rtl_project(hand_graph(), tmp_path / "project", config=RtlConfig(maxima=Maxima(nodes=32769, edges=4)))


@pytest.mark.slow
@pytest.mark.parametrize(("scatter", "memory"), [("banked", "block"), ("banked", "distributed"), ("ordered", "block")])
def test_engines_equal_golden(scatter: str, memory: str, tmp_path: Path) -> None:
    """Sums and maxima of edges in any order, empty graphs among them, in one run with stalls and wrong indices."""
    graph = collisions()
    config = LANES.model_copy(update={"scatter": scatter, "edge_lanes": 4, "node_memory": memory})
    executor = RtlExecutor(graph, config=config, directory=tmp_path / "project", stalls=0.3)
    generator = np.random.default_rng(0)
    batches = []
    for number in range(120):
        nodes, edges = int(generator.integers(0, SMALL.nodes + 1)), int(generator.integers(0, SMALL.edges + 1))
        inputs = random_inputs(graph, seed=number, sizes={"N": nodes, "E": edges * (number % 7 > 0)})
        if number % 3 == 0 and nodes:  # all edges at one node, or at two in turn
            inputs["edge_index"] = inputs["edge_index"] % min(nodes, 1 + number % 2)
        batches.append(inputs)
    golden = GoldenExecutor(graph)
    for inputs, found in zip(batches, executor.run_many(batches), strict=True):
        expected = golden.run_integers(inputs, list(found))
        assert {name: values.tolist() for name, values in found.items()} == {
            name: values.tolist() for name, values in expected.items()
        }
    executor.close()


def collisions() -> TypedGraph:
    """Exact sums of signed messages, saturating sums of unsigned ones, and maxima, all at the receiver."""
    builder = GraphBuilder(maxima=SMALL)
    nodes = builder.input("nodes", shape=("N", 1), format=A8)
    edges, index = builder.input("edges", shape=("E", 1), format=A8), builder.edge_index("edge_index")
    both = builder.concat("both", [builder.edge_gather("ends", nodes, index), edges])
    small = builder.requantize("small", both, format=FixedPoint(signed=False, width=3, integer=7))
    builder.output("exact_out", builder.edge_aggregate("exact", both, index))
    builder.output("largest_out", builder.edge_aggregate("largest", both, index, mode="max"))
    short = builder.edge_aggregate("short", small, index)
    builder.output("short_out", builder.requantize("few", short, format=FixedPoint(signed=False, width=4, integer=9)))
    builder.output("back", builder.edge_gather("again", "exact", index))
    return TypedGraph.from_builder(builder, name="collisions")


def wide_rounds() -> TypedGraph:
    """The event chains' shape: encoders, three residual rounds, sums at both ends; narrower, of few bits."""
    builder, generator = GraphBuilder(maxima=Maxima(nodes=64, edges=128)), np.random.default_rng(0)
    weight, active = FixedPoint(signed=True, width=2, integer=2), FixedPoint(signed=False, width=4, integer=3)

    def dense(name: str, source: str) -> str:
        shape = (12, builder.nodes[source].tensor.width)
        values = generator.integers(-1, 2, shape) * (generator.random(shape) < 0.1)
        made = builder.dense(f"{name}_dense", source, weight=values, weight_format=weight)
        return builder.requantize(name, made, format=active)

    nodes = dense("node_encoder", builder.input("nodes", shape=("N", 3), format=A8))
    edges = dense("edge_encoder", builder.input("edges", shape=("E", 6), format=A8))
    index = builder.edge_index("edge_index")
    for k in range(3):
        joined = builder.concat(f"edge_in{k}", [builder.edge_gather(f"ends{k}", nodes, index), edges])
        edges = builder.requantize(f"edge{k}", builder.add(f"es{k}", dense(f"m{k}", joined), edges), format=active)
        sums = [
            builder.requantize(f"q{k}{c}", builder.edge_aggregate(f"sum{k}{c}", edges, index, column=c), format=active)  # type: ignore[arg-type]
            for c in (0, 1)
        ]
        joined = builder.concat(f"node_in{k}", [nodes, *sums])
        nodes = builder.requantize(f"node{k}", builder.add(f"ns{k}", dense(f"u{k}", joined), nodes), format=active)
    last = builder.concat("last_in", [builder.edge_gather("last_ends", nodes, index), edges])
    builder.output("logits", dense("last", last))
    return TypedGraph.from_builder(builder, name="wide_rounds")


@pytest.mark.slow
def test_three_wide_rounds_are_written(tmp_path: Path) -> None:
    config = RtlConfig(edge_lanes=2, node_lanes=2, solver_seconds=QUICK)
    project = write_rtl_project(wide_rounds(), tmp_path / "project", config=config)
    assert [item.name for item in project.passes][-1] == "edges7"
    assert project.passes[0].buffers == 8, "indices stay until the last pass"
    assert lint(project) == ""
