"""The comparison can fail: planted faults are caught and the first divergence is named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hitfabric.emulation import compare_executors, extreme_vectors, make_executor, try_mutations
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.emulation.mutations import KINDS, Mutation
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.hand_graph import hand_graph
from support.random_graphs import graph_networks, random_inputs, row_networks


class OffByOne:
    """Golden, but one integer of one node is one too large in the second batch."""

    name = "faulty"

    def __init__(self, graph: TypedGraph) -> None:
        self.graph = graph
        self._golden = GoldenExecutor(graph)
        self._batches = 0

    def run_integers(self, inputs: dict, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        result = {name: array.copy() for name, array in self._golden.run_integers(inputs, nodes).items()}
        if self._batches == 1:
            result["edge"][2, 0] += 1
        self._batches += 1
        return result


def test_first_divergence_names_node_index_and_both_integers() -> None:
    graph = hand_graph()
    batches = [random_inputs(graph, seed=seed, sizes={"N": 3, "E": 5}) for seed in range(3)]
    expected = GoldenExecutor(graph).run_integers(batches[1])["edge"][2, 0]
    ladder = compare_executors(GoldenExecutor(graph), [OffByOne(graph)], batches)
    assert ladder.mismatches == {"hand": {"faulty": 1}}
    rung = ladder.first_divergence
    assert rung is not None
    assert rung.node == "edge"
    assert rung.first is not None
    assert (rung.first.batch, rung.first.index) == (1, (2, 0))
    assert (rung.first.expected, rung.first.found) == (expected, expected + 1)


def test_coverage_counts_range_and_saturation() -> None:
    graph = hand_graph()
    ladder = compare_executors(GoldenExecutor(graph), [GoldenExecutor(graph)], extreme_vectors(graph))
    clipped = next(rung for rung in ladder.rungs if rung.node == "clipped")
    assert (clipped.reached_low, clipped.reached_high) == (0, 15)
    assert 0 < clipped.saturated <= clipped.compared


@pytest.mark.parametrize("seed", range(5))
def test_every_mutation_of_a_trained_like_network_is_caught(seed: int) -> None:
    graph, vectors = lively_network(seed)
    results = try_mutations(graph, vectors, seed=seed)
    assert [result.kind for result in results] == list(KINDS)
    assert all(result.caught for result in results), results


@pytest.mark.parametrize("seed", range(2))
def test_native_mutants_are_caught(seed: int) -> None:
    graph, vectors = lively_network(seed)

    def make(mutation: Mutation) -> GoldenExecutor:
        if mutation.accumulator_widths:  # the native executor has no accumulator to narrow
            return GoldenExecutor(mutation.graph, accumulator_widths=mutation.accumulator_widths)
        return make_executor("native", mutation.graph)  # type: ignore[return-value] - same protocol

    results = try_mutations(graph, vectors, make=make, seed=seed)
    assert all(result.caught for result in results), results


def lively_network(seed: int) -> tuple[TypedGraph, dict]:
    """An interaction network whose every layer is alive, with vectors that exercise it."""
    generator = np.random.default_rng(seed)
    activation = FixedPoint(signed=True, width=8, integer=4)
    weight = FixedPoint(signed=True, width=6, integer=1, overflow="SAT_SYM")
    builder = GraphBuilder(maxima=Maxima(nodes=32, edges=64))
    nodes, index = builder.input("nodes", shape=("N", 3), format=activation), builder.edge_index("edge_index")

    def layer(name: str, source: str, width: int) -> str:
        shape = (width, builder.nodes[source].tensor.width)
        dense = builder.dense(name, source, weight=generator.integers(-31, 32, shape), weight_format=weight)
        return builder.requantize(f"{name}_quant", dense, format=activation)

    edges = layer("message", builder.edge_gather("ends", nodes, index), 4)
    total = builder.requantize("total_quant", builder.edge_aggregate("total", edges, index), format=activation)
    nodes = layer("update", builder.concat("joined", [nodes, total]), 4)
    builder.output("score", layer("score_dense", builder.edge_gather("ends_again", nodes, index), 1))
    graph = TypedGraph.from_builder(builder, name="lively")
    vectors = random_inputs(graph, seed=seed, sizes={"N": 32, "E": 64})
    return graph, {**vectors, "nodes": vectors["nodes"] / 4}


@given(graph=st.one_of(row_networks(), graph_networks()))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_extreme_vectors_are_valid_inputs(graph: TypedGraph) -> None:
    golden = GoldenExecutor(graph)
    batches = [golden.run(batch) for batch in extreme_vectors(graph, random_rows=20)]
    assert len(batches) >= 7
