"""Planted faults: every kind at every node that can have it is caught, and what no vector shows is not planted."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.emulation import (
    Executor,
    compare_executors,
    extreme_vectors,
    format_vectors,
    make_executor,
    plan_mutations,
    try_mutation,
    try_mutations,
)
from hitfabric.emulation.csim import CSimExecutor
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.emulation.mutations import KINDS, MutatedExecutor, Mutation, choose_mutations, golden_mutant
from hitfabric.hls_projects import ProjectConfig
from hitfabric.quantization import Dense, EdgeAggregate, FixedPoint, GraphBuilder, Input, Maxima, Requantize, TypedGraph
from support.hand_graph import hand_graph
from support.lively import lively_network
from support.random_graphs import graph_networks, row_networks

FORM = FixedPoint(signed=True, width=8, integer=4)


@pytest.mark.parametrize("seed", range(3))
def test_every_node_of_a_trained_like_network_gets_its_faults_and_each_is_caught(seed: int) -> None:
    graph, vectors = lively_network(seed)
    results = try_mutations(graph, vectors, seed=seed, per_kind=None)
    assert all(result.caught for result in results), [result for result in results if not result.caught]
    places = Counter((result.kind, result.place) for result in results)
    for node in graph.nodes:
        if isinstance(node, Dense):
            assert places["weight bit", node.name] >= 2  # several bits of each
            assert places["accumulator width", node.name] == 1
        if isinstance(node, Requantize):
            assert places["rounding", node.name] + places["saturation", node.name] >= 1
        if isinstance(node, EdgeAggregate):
            assert places["aggregate column", node.name] == places["aggregate mode", node.name] == 1
            assert places["accumulator width", node.name] == 1
    kinds = {kind for kind, _ in places}
    assert set(KINDS) - kinds <= {"bias bit", "negative values", "add sign"}  # no bias, no ReLU, no Add here


@given(graph=st.one_of(row_networks(), graph_networks()), seed=st.integers(0, 99))
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_fault_planted_in_a_random_network_is_caught(graph: TypedGraph, seed: int) -> None:
    batches, golden = list(extreme_vectors(graph, seed=seed)), GoldenExecutor(graph)
    plan = plan_mutations(graph, batches, seed=seed)
    for mutation in plan.mutations:
        mutant = golden_mutant(mutation)
        result = try_mutation(mutation, reference=golden, mutant=mutant, vectors=batches[mutation.batch])
        assert result.caught, result


@given(graph=graph_networks(), seed=st.integers(0, 9))
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_not_planted_shows_nowhere(graph: TypedGraph, seed: int) -> None:
    """The local look that finds places misses nothing that the whole network would show: rounding as the example."""
    batches = list(extreme_vectors(graph, seed=seed))
    plan, golden = plan_mutations(graph, batches, seed=seed), GoldenExecutor(graph)
    for kind, place in plan.unexercised:
        node = graph[place]
        if kind != "rounding" or isinstance(node, Input):
            continue
        source = graph[node.inputs[0]]
        other = "RND_CONV" if node.tensor.format.rounding == "TRN" else "TRN"
        form = FixedPoint(**{**vars(node.tensor.format), "rounding": other})
        for inputs in batches:
            values = golden.run_all(inputs)
            rounded = form.requantize(values[source.name], fraction=source.tensor.format.fraction)
            assert np.array_equal(rounded, values[place])


def test_native_mutants_are_caught() -> None:
    graph, vectors = lively_network(0)

    def make(mutation: Mutation) -> Executor:
        return make_executor("native", mutation.graph)

    results = try_mutations(graph, vectors, make=make, executor="native")
    assert {result.executor for result in results} == {"native"}
    assert "accumulator width" not in {result.kind for result in results}  # native code has none to narrow
    assert len(results) >= 8
    assert all(result.caught for result in results), results


def test_a_sum_becomes_a_difference() -> None:
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=4))
    left, right = (builder.input(name, shape=("R", 3), format=FORM) for name in ("left", "right"))
    builder.output("result", builder.requantize("quant", builder.add("total", left, right), format=FORM))
    graph = TypedGraph.from_builder(builder, name="sums")
    batches = format_vectors(graph)
    plan = plan_mutations(graph, batches)
    (mutation,) = (item for item in plan.mutations if item.kind == "add sign")
    inputs = batches[mutation.batch]
    values = GoldenExecutor(graph).run_all(inputs)
    expected = FORM.requantize(values["left"] - values["right"], fraction=FORM.fraction)
    assert np.array_equal(golden_mutant(mutation).run_integers(inputs)["result"], expected)


def test_a_swapped_gather_leaves_the_aggregates_alone() -> None:
    graph, vectors = lively_network(0)
    mutations = [item for item in plan_mutations(graph, [vectors]).mutations if item.kind == "gather ends"]
    assert [item.place for item in mutations] == ["ends", "ends_again"]
    late = MutatedExecutor(golden_mutant(mutations[1]), graph=graph, inputs=mutations[1].inputs)
    ladder = compare_executors(GoldenExecutor(graph), [late], [vectors])
    changed = {rung.node for rung in ladder.rungs if rung.mismatches}
    assert changed
    assert changed <= {"score_dense_quant", "score"}


def test_faults_of_a_dead_network_are_named_and_not_planted() -> None:
    builder = GraphBuilder()
    source = builder.input("features", shape=("R", 2), format=FORM)
    weight = np.zeros((2, 2), dtype=np.int64)
    dead = builder.dense("dead", source, weight=weight, weight_format=FixedPoint(signed=True, width=2, integer=1))
    quant = builder.requantize("quant", dead, format=FORM)
    builder.output("result", quant)
    graph = TypedGraph.from_builder(builder, name="dead")
    plan = plan_mutations(graph, format_vectors(graph))
    assert {"weight bit"} == {mutation.kind for mutation in plan.mutations}  # a flipped 0 is not 0
    assert ("saturation", "quant") in plan.unexercised
    assert ("accumulator width", "dead") not in [(item.kind, item.place) for item in plan.mutations]


def test_no_vectors_plant_nothing() -> None:
    plan = plan_mutations(hand_graph(), [])
    assert plan.mutations == ()
    assert {"weight bit", "rounding"} & {kind for kind, _ in plan.unexercised}


def test_choice_is_spread_and_reproducible() -> None:
    graph, vectors = lively_network(1)
    mutations = plan_mutations(graph, [vectors], seed=1).mutations
    chosen = choose_mutations(mutations, "csim", per_kind=1, seed=3)
    assert chosen == choose_mutations(mutations, "csim", per_kind=1, seed=3)
    assert len({item.kind for item in chosen}) == len(chosen)
    assert all("csim" in item.executors for item in chosen)
    two = choose_mutations(mutations, "golden", per_kind=2, seed=3)
    widths = [item.place for item in two if item.kind == "weight bit"]
    assert len(set(widths)) == 2  # of two faults of one kind, no two at one node
    assert choose_mutations(mutations, "golden") == list(mutations)


def test_mutations_travel_between_processes() -> None:
    graph, vectors = lively_network(0)
    for mutation in plan_mutations(graph, [vectors]).mutations:
        copy = pickle.loads(pickle.dumps(mutation))
        assert (copy.what, copy.graph.digest) == (mutation.what, mutation.graph.digest)


@pytest.mark.slow
@pytest.mark.parametrize("config", [{"parallelism": 2}, {"design": "throughput"}, {"backend": "Quartus"}])
def test_a_narrow_sum_over_edges_is_that_of_the_golden_model(config: dict[str, Any], tmp_path: Path) -> None:
    """In the C simulation the fault is the one planned, not any difference."""
    graph = hand_graph()
    vectors = format_vectors(graph)
    plan = plan_mutations(graph, vectors)
    (fault,) = (item for item in plan.mutations if (item.kind, item.place) == ("accumulator width", "total"))
    assert "csim" in fault.executors
    mutant = CSimExecutor(
        fault.graph,
        directory=tmp_path / "project",
        config=ProjectConfig(**config),
        accumulator_widths=fault.accumulator_widths,
    )
    ladder = compare_executors(golden_mutant(fault), [mutant], vectors)
    assert ladder.compared > 0
    assert ladder.first_divergence is None
    sound = GoldenExecutor(graph)
    assert try_mutation(fault, reference=sound, mutant=mutant, vectors=vectors[fault.batch]).caught
