"""Faults planted in RTL by way of the typed graph: what they compute is what the golden model says of them."""

from __future__ import annotations

import numpy as np
import pytest

from hitfabric.core import GraphError
from hitfabric.emulation import plan_mutations
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.emulation.mutations import choose_mutations
from hitfabric.emulation.rtl_faults import narrow_accumulators
from hitfabric.quantization import Dense, EdgeAggregate
from support.hand_graph import hand_graph
from support.lively import lively_network
from support.random_graphs import random_inputs


@pytest.mark.parametrize("less", [1, 2, 4])
def test_a_narrow_accumulator_wraps(less: int) -> None:
    graph, vectors = lively_network(0)
    sums = [node for node in graph.nodes if isinstance(node, Dense | EdgeAggregate)]
    changed = 0
    for node in sums:
        widths = {node.name: node.tensor.format.width - less}
        expected = GoldenExecutor(graph, accumulator_widths=widths).run_all(vectors)
        found = GoldenExecutor(narrow_accumulators(graph, widths)).run_all(vectors)
        for name, values in expected.items():
            assert np.array_equal(values, found[name]), name
        changed += not np.array_equal(expected[node.name], found[f"{node.name}_exact"])
    assert changed >= (less > 1)  # otherwise nothing wrapped


def test_many_at_once_and_unknown_ones() -> None:
    graph = hand_graph()
    widths = {node.name: max(2, node.tensor.format.width - 3) for node in graph.nodes if isinstance(node, Dense)}
    inputs = random_inputs(graph, seed=1, sizes={"N": 7, "E": 12})
    expected = GoldenExecutor(graph, accumulator_widths=widths).run(inputs)
    found = GoldenExecutor(narrow_accumulators(graph, widths)).run(inputs)
    for name, values in expected.items():
        assert np.array_equal(values, found[name])
    with pytest.raises(GraphError, match="has no node nothing"):
        narrow_accumulators(graph, {"nothing": 3})
    assert narrow_accumulators(graph, {}).digest == graph.digest


def test_faults_for_an_executor_that_shows_outputs_alone_reach_one() -> None:
    graph, vectors = lively_network(0)
    plan = plan_mutations(graph, [vectors], outputs=True)
    chosen = choose_mutations(plan.mutations, "rtl")
    assert {"weight bit", "rounding", "accumulator width", "edge index"} <= {fault.kind for fault in chosen}
    assert len(chosen) < len(plan.mutations)  # what saturation or rounding hides from the outputs is left out
    sound = GoldenExecutor(graph).run(vectors)
    for fault in chosen:
        inputs = fault.inputs.apply(vectors) if fault.inputs else vectors
        broken = GoldenExecutor(narrow_accumulators(fault.graph, fault.accumulator_widths)).run(inputs)
        assert any(not np.array_equal(sound[name], broken[name]) for name in sound), fault.what
        assert fault.batch_for("rtl") == 0
    assert not choose_mutations(plan_mutations(graph, [vectors]).mutations, "rtl")  # not looked for
