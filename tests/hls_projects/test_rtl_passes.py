"""A typed graph splits into passes that can follow one another on a stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from hitfabric.core import GraphError
from hitfabric.hls_projects.rtl_passes import split_passes
from hitfabric.quantization import EdgeAggregate, EdgeGather, GraphBuilder, Maxima, TypedGraph
from support.hand_graph import A8, hand_graph
from support.message_passing import WEIGHT, odd_network, odd_rows, rounds_network
from support.random_graphs import graph_networks, row_networks


def check_order(graph: TypedGraph) -> None:
    """Every node is in one pass, and whatever a pass reads was kept by one before it."""
    passes = split_passes(graph)
    seen: list[str] = []
    stored: dict[str, set[str]] = {"R": set(), "N": set(), "E": set()}
    gathered: set[str] = set()
    for item in passes:
        assert all(graph[name].inputs[0] in gathered for name in item.gathers)
        assert all(name in seen for name in item.aggregates), "a pass before this one scatters into it"
        if not item.enters:
            assert set(item.loads) <= stored[item.domain]
        known = {*item.loads, *item.gathers, *item.aggregates}
        for name in item.core:
            assert set(graph[name].inputs) <= known
            known.add(name)
        assert {graph[name].inputs[0] for name in (*item.scatters, *item.outputs)} <= known
        assert set(item.stores) | set(item.gathered) <= known
        stored[item.domain] |= set(item.stores)
        gathered |= set(item.gathered)
        seen += [*item.core, *item.gathers, *item.scatters, *item.outputs, *(item.loads if item.enters else ())]
    wanted = [node.name for node in graph.nodes if not node.tensor.is_index]
    assert sorted(seen) == sorted(wanted)


@settings(max_examples=60)
@given(graph=graph_networks())
def test_random_networks_split(graph: TypedGraph) -> None:
    check_order(graph)


@settings(max_examples=20)
@given(graph=row_networks())
def test_rows_are_one_pass(graph: TypedGraph) -> None:
    check_order(graph)
    assert [item.name for item in split_passes(graph)] == ["rows0"]


@pytest.mark.parametrize("graph", [odd_network(Maxima(nodes=5, edges=9)), odd_rows(), hand_graph()])
def test_unusual_networks_split(graph: TypedGraph) -> None:
    check_order(graph)


def test_rounds_take_turns() -> None:
    graph = rounds_network(2, maxima=Maxima(nodes=5, edges=9), residual=True)
    names = [item.name for item in split_passes(graph)]
    assert names == ["edges0", "nodes0", "edges1", "nodes2", "edges3", "nodes4", "edges5"]
    scatters = [name for item in split_passes(graph) for name in item.scatters]
    assert scatters == [node.name for node in graph.nodes if isinstance(node, EdgeAggregate)]


def test_an_input_can_be_scattered_and_gathered_again() -> None:
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=4))
    edges = builder.input("edges", shape=("E", 2), format=A8)
    index = builder.edge_index("edge_index")
    degree = builder.edge_aggregate("sums", edges, index)
    builder.output("ends", builder.edge_gather("back", degree, index))
    graph = TypedGraph.from_builder(builder, name="sums_only")
    check_order(graph)
    assert [item.name for item in split_passes(graph)] == ["edges0", "edges1", "nodes2", "edges3"]
    assert isinstance(graph["back"], EdgeGather)


def built(*, rows: object, index: int = 0, other: object | None = None) -> TypedGraph:
    builder = GraphBuilder()
    first = builder.input("first", shape=(rows, 1), format=A8)  # type: ignore[arg-type] - that is the test
    builder.output("result", builder.dense("dense", first, weight=np.array([[1]]), weight_format=WEIGHT))
    if other is not None:
        builder.output("second_out", builder.input("second", shape=(other, 1), format=A8))  # type: ignore[arg-type]
    for number in range(index):
        name = builder.edge_index(f"index{number}")
        builder.output(f"ends{number}", builder.edge_gather(f"gather{number}", first, name))
    return TypedGraph.from_builder(builder, name="wrong")


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (built(rows=7), "fixed number of rows"),
        (built(rows="N"), "no edge index"),
        (built(rows="N", index=2), "2 edge indices"),
        (built(rows="N", index=1, other="R"), "mixes independent rows"),
    ],
)
def test_what_no_stream_can_hold_is_refused(graph: TypedGraph, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        split_passes(graph)
