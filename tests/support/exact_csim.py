"""The C simulation of a network compared with the golden model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hitfabric.emulation import compare_executors, extreme_vectors, make_executor
from hitfabric.emulation.csim import CSimExecutor
from hitfabric.hls_projects import ProjectConfig
from hitfabric.quantization import TypedGraph
from support.random_graphs import random_inputs


def assert_equal(graph: TypedGraph, directory: Path, *, seed: int = 0, **config: Any) -> CSimExecutor:
    """Compare every visible node over random graphs of many sizes and the extremes of the formats."""
    executor = CSimExecutor(graph, directory=directory / "project", config=ProjectConfig(**config))
    most = graph.maxima
    sizes = [{"R": 40, "N": most.nodes, "E": most.edges}, {"R": 1, "N": 0, "E": 0}, {"R": 0, "N": 1, "E": most.edges}]
    batches = [random_inputs(graph, seed=seed + k, sizes=size) for k, size in enumerate(sizes)]
    vectors = [*batches, *extreme_vectors(graph, seed=seed, random_rows=100)]
    ladder = compare_executors(make_executor("golden", graph), [executor], vectors)
    assert {rung.node for rung in ladder.rungs} == {node.name for node in graph.visible}
    assert all(rung.compared > 0 for rung in ladder.rungs)
    assert ladder.first_divergence is None
    return executor
