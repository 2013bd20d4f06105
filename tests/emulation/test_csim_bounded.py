"""The C simulation with bounded streams: equal to the plain one, deadlocks, usage, depths that are just enough."""

from __future__ import annotations

import pickle
import re
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import DeadlockError, GraphError
from hitfabric.emulation import compare_executors, make_executor
from hitfabric.emulation.csim import CSimExecutor
from hitfabric.hls_projects import HlsProject, ProjectConfig, write_project, write_vectors
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.hand_graph import hand_graph
from support.random_graphs import Vectors, random_inputs

IN = FixedPoint(signed=True, width=7, integer=3, rounding="RND_CONV", overflow="SAT_SYM")
WEIGHT = FixedPoint(signed=True, width=5, integer=1, overflow="SAT_SYM")
FULL = {"N": 6, "E": 9}


def interaction(maxima: Maxima | None = None) -> TypedGraph:
    """A round with a residual node state: nodes and messages wait beside the gather and the sum."""
    builder = GraphBuilder(maxima=maxima or Maxima(nodes=FULL["N"], edges=FULL["E"]))
    generator = np.random.default_rng(1)

    def dense(name: str, source: str, width: int) -> str:
        weight = generator.integers(WEIGHT.low, WEIGHT.high + 1, (width, builder.nodes[source].tensor.width))
        node = builder.dense(f"{name}_sum", source, weight=weight, weight_format=WEIGHT)
        return builder.requantize(name, node, format=IN)

    nodes, index = builder.input("nodes", shape=("N", 2), format=IN), builder.edge_index("edge_index")
    message = dense("message", builder.edge_gather("ends", nodes, index), 2)
    update = dense("update", builder.edge_aggregate("total", message, index), 2)
    state = builder.requantize("state", builder.add("residual", nodes, update), format=IN)
    again = builder.concat("again", [builder.edge_gather("new_ends", state, index), message])
    builder.output("logits", dense("logit", again, 1))
    builder.output("states", state)
    return TypedGraph.from_builder(builder, name="interaction")


def batches(graph: TypedGraph) -> list[Vectors]:
    return [
        random_inputs(graph, seed=seed, sizes={"N": n, "E": e}) for seed, (n, e) in enumerate([(6, 9), (2, 1), (1, 0)])
    ]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> HlsProject:
    return write_project(interaction(), tmp_path_factory.mktemp("bounded") / "project")


@pytest.fixture(scope="module")
def bounded(project: HlsProject) -> CSimExecutor:
    return CSimExecutor(project.graph, project=project, bounded=True)


@pytest.fixture(scope="module")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> HlsProject:
    config = ProjectConfig(stream_depths={"nodes_in": FULL["N"] - 1})
    return write_project(interaction(), tmp_path_factory.mktemp("bounded") / "shallow", config=config)


def stream(executor: CSimExecutor, layers: str) -> str:
    """Name of the stream that joins two layers."""
    return next(usage.stream.name for usage in executor.stream_usage() if str(usage.stream).endswith(f"({layers})"))


def test_every_node_of_several_graphs_is_that_of_the_plain_simulation(
    project: HlsProject, bounded: CSimExecutor
) -> None:
    plain = CSimExecutor(project.graph, project=project)
    graphs = [*batches(project.graph), *batches(project.graph)]
    ladder = compare_executors(make_executor("golden", project.graph), [plain, bounded], graphs)
    assert ladder.compared > 0
    assert sum(sum(counts.values()) for counts in ladder.mismatches.values()) == 0
    for batch in graphs:
        expected, found = plain.run_integers(batch), bounded.run_integers(batch)
        assert {"message", "update", "state"} <= found.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_usage_is_what_the_structure_needs(bounded: CSimExecutor) -> None:
    for batch in batches(bounded.graph):
        bounded.run(batch)
    highest = {usage.stream.name: usage.highest for usage in bounded.stream_usage()}
    declared = {usage.stream.name: usage.stream.depth for usage in bounded.stream_usage()}
    # All nodes wait for the first sum, all messages and all indices for the second gather; the rest flows.
    waiting = {
        stream(bounded, "clone_nodes_in to residual"): FULL["N"],
        stream(bounded, "clone_message_sum to again"): FULL["E"],
        stream(bounded, "clone_edge_index_in to new_ends"): FULL["E"],
    }
    assert highest == dict.fromkeys(highest, 1) | waiting
    assert all(highest[name] <= declared[name] for name in highest)


def test_minimal_depths_are_enough_and_minimal(bounded: CSimExecutor, tmp_path: Path) -> None:
    inputs = batches(bounded.graph)
    depths = bounded.minimal_depths(inputs[0])
    assert depths == bounded.minimal_depths(inputs[2])  # of no edges: the packets are the same
    assert depths == {usage.stream.name: usage.highest for usage in bounded.stream_usage()}
    config = ProjectConfig(stream_depths=depths)
    enough = CSimExecutor(bounded.graph, directory=tmp_path / "enough", config=config, bounded=True)
    assert enough.minimal_depths(inputs[1]) == depths
    expected, found = make_executor("golden", bounded.graph).run_integers(inputs[0]), enough.run_integers(inputs[0])
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_stream_too_shallow_is_a_deadlock_that_names_it(shallow: HlsProject) -> None:
    executor = CSimExecutor(shallow.graph, project=shallow, bounded=True)
    name = stream(executor, "clone_nodes_in to residual")
    for batch in batches(shallow.graph):  # the executor stays usable
        with pytest.raises(DeadlockError) as caught:
            executor.run(batch)
        error = caught.value
        assert error.streams == (name,)
        assert f"clone_nodes_in waits for residual to read {name} (full at depth 5)" in str(error)
        assert "total waits for" in str(error)
        assert str(error).endswith(f"; raise stream_depths of {name} above 5")
        assert len(error.waits) > str(error).count("waits for") > 2  # others wait for those
        copy = pickle.loads(pickle.dumps(error))
        assert (str(copy), copy.streams, copy.waits) == (str(error), error.streams, error.waits)
    assert executor.minimal_depths(batches(shallow.graph)[0])[name] == 6


def test_the_plain_simulation_does_not_notice(shallow: HlsProject) -> None:
    plain, golden = CSimExecutor(shallow.graph, project=shallow), make_executor("golden", shallow.graph)
    for batch in batches(shallow.graph):
        expected, found = golden.run_integers(batch), plain.run_integers(batch)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_the_test_bench_tells_a_deadlock(shallow: HlsProject) -> None:
    golden = make_executor("golden", shallow.graph)
    write_vectors(shallow, [(batch, golden.run(batch)) for batch in batches(shallow.graph)])
    command = ["make", "-C", str(shallow.directory), "csim-bounded"]
    stopped = subprocess.run(command, capture_output=True, text=True, check=False)
    assert stopped.returncode != 0
    assert re.search(
        r"hitfabric_interaction: deadlock: .*clone_nodes_in waits for residual to read \w+, full at depth 5;",
        stopped.stderr,
    )
    assert "terminate" not in stopped.stderr


def test_usage_needs_bounded_streams(project: HlsProject) -> None:
    plain = CSimExecutor(project.graph, project=project)
    for ask in (plain.stream_usage, lambda: plain.minimal_depths(batches(project.graph)[0])):
        with pytest.raises(GraphError, match="any number of packets; give bounded=True"):
            ask()


def test_executors_of_one_project_share_a_library_and_nothing_else(project: HlsProject) -> None:
    executors = [CSimExecutor(project.graph, project=project, bounded=True) for _ in range(3)]
    graphs = [random_inputs(project.graph, seed=seed, sizes=FULL) for seed in range(24)]
    expected = [make_executor("golden", project.graph).run(batch) for batch in graphs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: executors[k % 2].run(graphs[k]), range(len(graphs))))
    assert all(np.array_equal(found[k]["logits"], expected[k]["logits"]) for k in range(len(graphs)))
    assert {usage.highest for usage in executors[2].stream_usage()} == {0}


def test_a_thousand_runs_and_deadlocks_take_no_memory(shallow: HlsProject) -> None:
    executor = CSimExecutor(shallow.graph, project=shallow, bounded=True)
    batch = batches(shallow.graph)[0]

    def attempt(times: int) -> int:
        for _ in range(times):
            with pytest.raises(DeadlockError):
                executor.run(batch)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = attempt(50)
    assert attempt(1000) - before < 2000  # KiB


@pytest.mark.slow
@pytest.mark.parametrize("config", [{"backend": "Vivado"}, {"parallelism": 2}])
def test_other_configurations(config: dict[str, object], tmp_path: Path) -> None:
    settings = ProjectConfig.model_validate(config)
    executor = CSimExecutor(hand_graph(), directory=tmp_path / "project", config=settings, bounded=True)
    golden = make_executor("golden", executor.graph)
    for seed, (nodes, edges) in enumerate([(4, 6), (3, 1), (1, 0)]):
        batch = random_inputs(executor.graph, seed=seed, sizes={"N": nodes, "E": edges})
        assert np.array_equal(executor.run(batch)["result"], golden.run(batch)["result"])
    assert all(usage.highest <= usage.stream.depth for usage in executor.stream_usage())


@pytest.mark.slow
@pytest.mark.parametrize("parallelism", [1, 4])
def test_large_memories_fit_the_stacks(parallelism: int, tmp_path: Path) -> None:
    graph = interaction(Maxima(nodes=1024, edges=4096))
    config = ProjectConfig(parallelism=parallelism)
    executor = CSimExecutor(graph, directory=tmp_path / "project", config=config, bounded=True)
    batch = random_inputs(graph, seed=0, sizes={"N": 1024, "E": 4096})
    expected, found = make_executor("golden", graph).run_integers(batch), executor.run_integers(batch)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    highest = {usage.stream.name: usage.highest for usage in executor.stream_usage()}
    assert highest[stream(executor, "clone_nodes_in to residual")] == 1024 // parallelism
