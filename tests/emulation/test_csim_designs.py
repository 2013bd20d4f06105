"""Both designs, any number of lanes, and everything a network may do with a tensor: C simulation == golden."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.emulation import extreme_vectors
from hitfabric.hls_projects import write_project, write_vectors
from hitfabric.quantization import GraphBuilder, Maxima, TypedGraph
from support.exact_csim import assert_equal
from support.message_passing import IN, odd_network, odd_rows, rounds_network
from support.random_graphs import graph_networks, random_inputs

SLOW_DRAW: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SMALL = Maxima(nodes=7, edges=13)  # multiples of no number of lanes but 1
TINY = Maxima(nodes=4, edges=5)


@pytest.mark.parametrize("residual", [True, False])
def test_eight_rounds_in_streams(residual: bool, tmp_path: Path) -> None:
    graph = rounds_network(8, maxima=SMALL, residual=residual)
    readers = sum(node.inputs.count("edge_index") for node in graph.nodes)
    assert readers > 7  # of a stream that hls4ml clones 7 times at most
    executor = assert_equal(graph, tmp_path, parallelism=1 if residual else 2)
    project = executor.project
    assert "// edge_index_in_relay2" in (project.directory / "firmware" / f"{project.name}.cpp").read_text()


@pytest.mark.slow
def test_eight_rounds_in_parallel(tmp_path: Path) -> None:
    assert_equal(rounds_network(8, maxima=TINY, residual=True), tmp_path, design="throughput")


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        {"design": "throughput"},
        {"design": "throughput", "strategy": "Resource", "reuse_factor": 2},
        {"parallelism": 1, "backend": "Vivado"},
        {"parallelism": 3},
        {"parallelism": 4, "strategy": "Resource", "reuse_factor": 3},
        {"parallelism": 8, "reuse_factor": 2},
    ],
    ids=str,
)
def test_odd_network(config: dict[str, Any], tmp_path: Path) -> None:
    assert_equal(odd_network(TINY if config.get("design") else SMALL), tmp_path, **config)


@pytest.mark.parametrize("design", ["throughput", "dataflow"])
def test_odd_rows(design: str, tmp_path: Path) -> None:
    assert_equal(odd_rows(), tmp_path, design=design)


@pytest.mark.slow
@given(
    graph=graph_networks(),
    seed=st.integers(0, 999),
    lanes=st.sampled_from([1, 2, 3, 4, 8]),
    strategy=st.sampled_from(["Latency", "Resource"]),
    reuse=st.integers(1, 6),
)
@settings(max_examples=3, **SLOW_DRAW)
def test_random_graph_networks_in_lanes(
    graph: TypedGraph, seed: int, lanes: int, strategy: str, reuse: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("random")
    assert_equal(graph, directory, seed=seed, parallelism=lanes, strategy=strategy, reuse_factor=reuse)


@pytest.mark.parametrize(("nodes", "edges"), [(1, 1), (3, 2)])
def test_fewer_rows_than_lanes(nodes: int, edges: int, tmp_path: Path) -> None:
    builder = GraphBuilder(maxima=Maxima(nodes=nodes, edges=edges))
    x, index = builder.input("nodes", shape=("N", 2), format=IN), builder.edge_index("edge_index")
    total = builder.edge_aggregate("total", builder.edge_gather("ends", x, index), index)
    builder.output("result", total)
    graph = TypedGraph.from_builder(builder, name="few")
    executor = assert_equal(graph, tmp_path, parallelism=8)
    # The project's own test bench compares the real rows alone.
    vectors = list(extreme_vectors(graph))
    write_vectors(executor.project, [(case, executor.run(case)) for case in vectors])
    command = [str(shutil.which("make")), "-C", str(executor.project.directory), "csim"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert f"{len(vectors)} rows or graphs, 0 mismatches" in finished.stdout


def test_graphs_one_after_the_other_do_not_see_each_other(tmp_path: Path) -> None:
    graph = rounds_network(1, maxima=SMALL, residual=True)
    executor = assert_equal(graph, tmp_path, parallelism=2)
    full = random_inputs(graph, seed=1, sizes={"N": 7, "E": 13})
    empty = random_inputs(graph, seed=2, sizes={"N": 2, "E": 0})
    alone = executor.run_integers(empty)
    executor.run_integers(full)
    after = executor.run_integers(empty)
    assert all(np.array_equal(alone[name], after[name]) for name in alone)


def test_rows_of_their_own_in_a_graph_network(tmp_path: Path) -> None:
    builder = GraphBuilder(maxima=SMALL)
    x, index = builder.input("nodes", shape=("N", 2), format=IN), builder.edge_index("edge_index")
    builder.output("ends", builder.edge_gather("gather", x, index))
    builder.output("same", builder.input("event", shape=("R", 2), format=IN))
    with pytest.raises(GraphError, match=r"node event has shape \('R', 2\) in a network of nodes and edges"):
        write_project(TypedGraph.from_builder(builder, name="mixed"), tmp_path / "project")
