"""Cost of a typed graph: by hand, by brute force, and at every size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import Dense, FixedPoint, GraphBuilder, TypedGraph
from hitfabric.quantization.cost import effective_bits, graph_cost
from support.random_graphs import graph_networks, row_networks

A8 = FixedPoint(signed=True, width=8, integer=3)
WEIGHT = FixedPoint(signed=True, width=4, integer=1, overflow="SAT_SYM")


def small() -> TypedGraph:
    builder = GraphBuilder()
    source = builder.input("features", shape=("R", 4), format=A8)
    dense = builder.dense("dense", source, weight=np.array([[0, 1, -6, 7], [5, 0, 4, -3]]), weight_format=WEIGHT)
    builder.output("result", dense)
    return TypedGraph.from_builder(builder, name="small")


def test_cost_of_a_small_network_by_hand() -> None:
    cost = graph_cost(small())
    assert (cost.macs, cost.weights, cost.nonzero_weights, cost.weight_bits) == (8, 8, 6, 32)
    assert cost.bops == 8 * (6 / 8 * 8 * 4 + 8 + 4 + math.log2(4))
    # bits between the outer ones of 1, 6, 7, 5, 4, 3; times the 8 bits of the activation
    assert cost.ebops == 8 * (1 + 2 + 3 + 3 + 1 + 2)
    assert cost["features"].macs == cost["result"].ebops == 0


@pytest.mark.parametrize(("constant", "bits"), [(0, 0), (1, 1), (8, 1), (-8, 1), (5, 3), (-10, 3), (2**62 + 1, 63)])
def test_bits_of_a_constant(constant: int, bits: int) -> None:
    assert effective_bits(constant) == bits


@given(constant=st.integers(-(2**62), 2**62), shift=st.integers(0, 20))
def test_shifts_and_signs_are_free(constant: int, shift: int) -> None:
    digits = f"{abs(constant):b}".strip("0")
    assert effective_bits(constant) == effective_bits(-constant << shift) == len(digits)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(graph=st.one_of(row_networks(), graph_networks()), share=st.floats(0, 1))
def test_cost_grows_with_the_sizes(graph: TypedGraph, share: float) -> None:
    nodes, edges, rows = int(share * graph.maxima.nodes), int(share * graph.maxima.edges), int(share * 50)
    sizes = {"R": rows, "N": nodes, "E": edges}
    cost, most = graph_cost(graph, nodes=nodes, edges=edges, rows=rows), graph_cost(graph)
    macs = 0
    for node in graph.nodes:
        one = cost[node.name]
        assert one.rows == sizes[str(node.tensor.shape[0])]
        assert (one.macs, one.bops, one.ebops) == (most[node.name].macs, most[node.name].bops, most[node.name].ebops)
        if isinstance(node, Dense):
            assert one.macs == one.weights == node.weight.size
            assert one.ebops <= one.nonzero_weights * 62 * node.weight_format.width
            assert one.nonzero_weights <= one.bops
            macs += one.rows * node.weight.size
    assert cost.macs == macs
    assert cost.bops == pytest.approx(sum(node.rows * node.bops for node in cost.nodes))


def test_cost_of_the_shipped_sector_network_is_at_its_maxima() -> None:
    graph = TypedGraph.load(zoo_path("sector-in-8"))
    cost = graph_cost(graph)
    sizes = {"N": graph.maxima.nodes, "E": graph.maxima.edges}
    expected = sum(n.weight.size * sizes[str(n.tensor.shape[0])] for n in graph.nodes if isinstance(n, Dense))
    assert cost.macs == expected > 0
    assert graph_cost(graph, nodes=0, edges=0).macs == 0


@pytest.mark.parametrize("sizes", [{"rows": -1}, {"nodes": -1}, {"edges": 10**9}])
def test_sizes_out_of_range_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(GraphError, match="is not defined"):
        graph_cost(small(), **sizes)
    with pytest.raises(GraphError, match="no cost of a node nothing"):
        graph_cost(small())["nothing"]
