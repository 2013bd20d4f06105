"""Interaction networks as large as those of the literature, at their maxima, one over, and empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import GraphError
from hitfabric.emulation import compare_executors, make_executor
from hitfabric.emulation.csim import CSimExecutor
from hitfabric.hls_projects import ProjectConfig
from hitfabric.quantization import Maxima
from support.message_passing import rounds_network
from support.random_graphs import random_inputs


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize(("nodes", "edges"), [(64, 128), (256, 1024), (1024, 4096)])
def test_streams(nodes: int, edges: int, lanes: int, tmp_path: Path) -> None:
    graph = rounds_network(1, maxima=Maxima(nodes=nodes, edges=edges), residual=True, width=8)
    executor = CSimExecutor(graph, directory=tmp_path / "project", config=ProjectConfig(parallelism=lanes))
    sizes = [(nodes, edges), (nodes // 2, edges // 3), (nodes, 0), (1, edges), (0, 0), (nodes, edges)]
    vectors = [random_inputs(graph, seed=k, sizes={"N": n, "E": e}) for k, (n, e) in enumerate(sizes)]
    ladder = compare_executors(make_executor("golden", graph), [executor], vectors)
    assert ladder.first_divergence is None
    assert all(rung.compared > 0 for rung in ladder.rungs)
    empty = executor.run(vectors[4])
    assert empty["logits"].shape == (0, 1)
    assert np.isfinite(executor.run(vectors[3])["logits"]).all()
    for n, e in ((nodes + 1, edges), (nodes, edges + 1)):
        with pytest.raises(
            GraphError, match=f"a graph of {n} nodes and {e} edges exceeds the {nodes} nodes and {edges} edges"
        ):
            executor.run(random_inputs(graph, seed=0, sizes={"N": n, "E": e}))


@pytest.mark.slow
def test_registers(tmp_path: Path) -> None:
    graph = rounds_network(1, maxima=Maxima(nodes=64, edges=128), residual=True, width=8)
    executor = CSimExecutor(graph, directory=tmp_path / "project", config=ProjectConfig(design="throughput"))
    vectors = [random_inputs(graph, seed=k, sizes={"N": n, "E": e}) for k, (n, e) in enumerate([(64, 128), (9, 0)])]
    ladder = compare_executors(make_executor("golden", graph), [executor], vectors)
    assert ladder.first_divergence is None
