"""The RTL engine of a network under Verilator: integers of golden at any size and stall, flags, cycles, faults."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hitfabric.core import DataError, GraphError
from hitfabric.emulation import compare_executors, extreme_vectors, make_executor, plan_mutations, try_mutation
from hitfabric.emulation.mutations import choose_mutations
from hitfabric.emulation.rtl import RtlExecutor
from hitfabric.emulation.rtl_faults import narrow_accumulators
from hitfabric.emulation.rtl_status import Flags
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.quantization import Maxima, TypedGraph
from support.message_passing import rounds_network
from support.random_graphs import random_inputs

NODES, EDGES = 12, 21
CONFIG = RtlConfig(edge_lanes=4, node_lanes=2, solver_seconds=5.0)
ONE_LANE = RtlConfig(edge_lanes=1, node_lanes=1, solver_seconds=5.0)
"""For networks with a fault: each is compiled anew, and lanes are copies of each other."""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def graph() -> TypedGraph:
    return rounds_network(1, maxima=Maxima(nodes=NODES, edges=EDGES), residual=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def executor(graph: TypedGraph, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtlExecutor]:
    folder = tmp_path_factory.mktemp("engine") / "project"
    made = make_executor("rtl", graph, directory=folder, models=models, config=CONFIG, stalls=0.3, seed=2)
    assert isinstance(made, RtlExecutor)
    yield made
    made.close()


def graphs(graph: TypedGraph, sizes: list[tuple[int, int]]) -> list[dict[str, Any]]:
    return [random_inputs(graph, seed=k, sizes={"N": n, "E": e}) for k, (n, e) in enumerate(sizes)]


def test_extremes_equal_golden(graph: TypedGraph, executor: RtlExecutor) -> None:
    ladder = compare_executors(make_executor("golden", graph), [executor], extreme_vectors(graph))
    assert ladder.first_divergence is None
    assert {rung.node for rung in ladder.rungs} == {node.name for node in graph.outputs}
    assert all(rung.compared > 100 for rung in ladder.rungs)


@pytest.mark.parametrize("stalls", [0.0, 0.1, 0.5, 0.85])
def test_many_graphs_of_every_size_in_one_run(graph: TypedGraph, executor: RtlExecutor, stalls: float) -> None:
    """Sizes up to two beyond the maxima: the engine refuses those itself, and the next ones are unharmed."""
    generator = np.random.default_rng(int(100 * stalls))
    sizes = [(int(generator.integers(NODES + 3)), int(generator.integers(EDGES + 3))) for _ in range(400)]
    batches = graphs(graph, sizes)
    golden = make_executor("golden", graph)
    before, executor.stalls = executor.stalls, stalls
    try:
        results = executor.stream_graphs(batches, check_maxima=False)
    finally:
        executor.stalls = before
    refused = 0
    for (nodes, edges), inputs, result in zip(sizes, batches, results, strict=True):
        assert result.flags.too_many_nodes == (nodes > NODES)
        assert result.flags.too_many_edges == (edges > EDGES)
        if result.flags.refused:
            assert result.outputs == {}
            refused += 1
            continue
        assert result.flags.index_out_of_range == bool((inputs["edge_index"] >= nodes).any())
        for name, expected in golden.run_integers(inputs, list(result.outputs)).items():
            assert np.array_equal(result.outputs[name], expected)
    assert 40 < refused < 200


def test_a_graph_beyond_the_maxima_is_refused_by_name_and_size(graph: TypedGraph, executor: RtlExecutor) -> None:
    for nodes, edges in ((NODES + 1, EDGES), (NODES, EDGES + 1)):
        (inputs,) = graphs(graph, [(nodes, edges)])
        named = f"a graph of {nodes} nodes and {edges} edges exceeds the {NODES} nodes and {EDGES} edges that rounds1"
        with pytest.raises(GraphError, match=named):
            executor.run(inputs)


def test_indices_far_out_of_range_are_padding(graph: TypedGraph, executor: RtlExecutor) -> None:
    (inputs,) = graphs(graph, [(5, 9)])
    inputs["edge_index"][::2, 0] = 2**40
    inputs["edge_index"][1::3, 1] = NODES
    (result,) = executor.stream_graphs([inputs])
    assert result.flags == Flags(index_out_of_range=True)
    expected = make_executor("golden", graph).run_integers(inputs, list(result.outputs))
    assert all(np.array_equal(result.outputs[name], expected[name]) for name in expected)
    inputs["edge_index"][0, 0] = -1
    with pytest.raises(DataError, match="negative index"):
        executor.run(inputs)


def test_cycles_do_not_depend_on_values_or_stalls_before(graph: TypedGraph, executor: RtlExecutor) -> None:
    batches = graphs(graph, [(NODES, EDGES)] * 12)
    first = executor.measure_cycles(batches)
    executor.run_many(batches)  # with stalls
    assert executor.measure_cycles(batches[::-1]) == first
    assert first.graphs == 12
    assert first.latency_p50 == first.latency_max > first.interval_p95
    assert first.interval_mean >= -(-EDGES // CONFIG.edge_lanes)
    smaller = executor.measure_cycles(graphs(graph, [(2, 1)] * 12))
    assert smaller.latency_p95 < first.latency_p50
    assert smaller.interval_mean < first.interval_mean


@pytest.mark.parametrize("seed", [3, 4])
def test_the_start_of_registers_and_memories_does_not_matter(
    graph: TypedGraph, executor: RtlExecutor, models: Path, seed: int
) -> None:
    other = RtlExecutor(graph, project=executor.project, models=models, seed=seed)
    batches = graphs(graph, [(0, 0), (NODES, EDGES), (3, 0), (NODES, EDGES)])
    golden = make_executor("golden", graph)
    for inputs, outputs in zip(batches, other.run_many(batches), strict=True):
        expected = golden.run_integers(inputs, list(outputs))
        assert all(np.array_equal(outputs[name], expected[name]) for name in expected)
    other.close()


def test_the_system_verilator_gives_the_same(graph: TypedGraph, executor: RtlExecutor, models: Path) -> None:
    system = shutil.which("verilator")
    if system is None:
        pytest.skip("no system's Verilator")
    batches = graphs(graph, [(k % (NODES + 1), k * 5 % (EDGES + 1)) for k in range(60)])
    other = RtlExecutor(graph, project=executor.project, models=models, verilator=Path(system))
    assert other.measure_cycles(batches) == executor.measure_cycles(batches)
    for mine, theirs in zip(executor.run_many(batches), other.run_many(batches), strict=True):
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    other.close()


@pytest.mark.parametrize("kind", ["weight bit", "rounding", "accumulator width", "edge index"])
def test_planted_faults_are_caught(graph: TypedGraph, executor: RtlExecutor, tmp_path: Path, kind: str) -> None:
    vectors = graphs(graph, [(NODES, EDGES), (NODES, EDGES)])
    plan = plan_mutations(graph, vectors, outputs=True)
    (fault,) = (item for item in choose_mutations(plan.mutations, "rtl", per_kind=1) if item.kind == kind)
    mutant = executor
    if fault.is_built(graph):
        faulty = narrow_accumulators(fault.graph, fault.accumulator_widths)
        mutant = RtlExecutor(faulty, directory=tmp_path / "project", models=tmp_path / "models", config=ONE_LANE)
    golden = make_executor("golden", graph)
    result = try_mutation(fault, reference=golden, mutant=mutant, vectors=vectors[fault.batch_for("rtl")])
    assert result.caught
    assert (result.executor, mutant is executor) == ("rtl", kind == "edge index")
