"""The comparison can fail: planted faults are caught and the first divergence is named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hitfabric.emulation import compare_executors, extreme_vectors
from hitfabric.emulation.compare import compare_values, new_rungs
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.quantization import TypedGraph
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


@given(case=st.integers(0, 2), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_merged_rungs_equal_one_comparison(case: int, seed: int) -> None:
    graph = hand_graph()
    batches = [random_inputs(graph, seed=seed + number, sizes={"N": 3, "E": 5}) for number in range(3)]
    whole = compare_executors(GoldenExecutor(graph), [OffByOne(graph)], batches).rungs
    faulty, parts = OffByOne(graph), []
    for number, inputs in enumerate(batches):
        rungs = new_rungs(graph, [faulty.name], network=graph.name)
        expected, found = GoldenExecutor(graph).run_integers(inputs), faulty.run_integers(inputs)
        compare_values(rungs, graph, faulty.name, expected=expected, found=found, batch=number)
        parts.append(list(rungs.values()))
    order = [*range(case, 3), *range(case)]  # the order of the parts does not matter
    merged = parts[order[0]]
    for number in order[1:]:
        for rung, more in zip(merged, parts[number], strict=True):
            rung.merge(more)
    assert merged == whole


@given(graph=st.one_of(row_networks(), graph_networks()))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_extreme_vectors_are_valid_inputs(graph: TypedGraph) -> None:
    golden = GoldenExecutor(graph)
    batches = [golden.run(batch) for batch in extreme_vectors(graph, random_rows=20)]
    assert len(batches) >= 7
