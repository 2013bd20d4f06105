"""The C simulation against the golden model: every visible node, extremes of the formats, sizes, processes, moves."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import DataError, GraphError, ToolError
from hitfabric.emulation import compare_executors, extreme_vectors, make_executor
from hitfabric.emulation.csim import CSimExecutor
from hitfabric.emulation.csim_library import load_library
from hitfabric.emulation.mutations import KINDS, Mutation, try_mutations
from hitfabric.hls_projects import HlsProject, ProjectConfig, cached_project, compile_csim, write_project
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.hand_graph import hand_graph
from support.random_graphs import graph_networks, random_inputs, row_networks

SLOW_DRAW = {"deadline": None, "suppress_health_check": list(HealthCheck)}
IN = FixedPoint(signed=True, width=7, integer=3, rounding="RND_CONV", overflow="SAT_SYM")
HIDDEN = FixedPoint(signed=False, width=6, integer=3)
WEIGHT = FixedPoint(signed=True, width=5, integer=1, overflow="SAT_SYM")
BIAS = FixedPoint(signed=True, width=9, integer=3)


def dense(builder: GraphBuilder, name: str, source: str, width: int) -> str:
    generator = np.random.default_rng(sum(map(ord, name)))
    return builder.dense(
        name,
        source,
        weight=generator.integers(WEIGHT.low, WEIGHT.high + 1, (width, builder.nodes[source].tensor.width)),
        weight_format=WEIGHT,
        bias=generator.integers(BIAS.low, BIAS.high + 1, width),
        bias_format=BIAS,
    )


def row_network() -> TypedGraph:
    """Everything rows can have: a requantized input, an Add, a Concat of three, a value used twice, four outputs."""
    builder = GraphBuilder()
    x = builder.input("double", shape=("R", 4), format=IN)  # a C++ keyword
    narrow = builder.requantize("narrow", x, format=FixedPoint(signed=True, width=4, integer=2, rounding="RND_CONV"))
    hidden = builder.requantize("hidden", dense(builder, "layer2", x, 4), format=HIDDEN)
    total = builder.add("total", hidden, narrow)
    joined = builder.concat("joined", [hidden, builder.requantize("total_q", total, format=IN), narrow])
    result = dense(builder, "result", joined, 3)
    builder.output("logits", result)
    builder.output("again", result)
    # Rounds at a position above the source's most significant bit.
    coarse = FixedPoint(signed=True, width=4, integer=8, rounding="RND_CONV")
    builder.output("coarse_output", builder.requantize("coarse", x, format=coarse))
    builder.output("middle", hidden)
    return TypedGraph.from_builder(builder, name="register")  # a C++ keyword


def graph_network(maxima: Maxima | None = None) -> TypedGraph:
    """Gathers, sum and max, both columns, values used more than once."""
    builder = GraphBuilder(maxima=maxima or Maxima(nodes=9, edges=14))
    nodes = builder.input("nodes", shape=("N", 3), format=IN)
    edges = builder.input("edges", shape=("E", 2), format=IN)
    index = builder.edge_index("edge_index")
    joined = builder.concat("joined", [builder.edge_gather("ends", nodes, index), edges])
    messages = builder.requantize("messages", dense(builder, "message", joined, 4), format=HIDDEN)
    total = builder.edge_aggregate("total", messages, index)
    signed = builder.requantize("signed", "message", format=IN)
    largest = builder.edge_aggregate("largest", signed, index, column=0, mode="max")
    total = builder.requantize(
        "total_q", total, format=FixedPoint(signed=False, width=5, integer=4, rounding="RND_CONV")
    )
    states = builder.requantize(
        "states", dense(builder, "state", builder.concat("parts", [nodes, total, largest]), 3), format=IN
    )
    again = builder.edge_gather("again", states, index)
    builder.output("logits", dense(builder, "logit", builder.concat("last", [again, messages]), 1))
    builder.output("node_states", states)
    return TypedGraph.from_builder(builder, name="interaction")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projects")


@pytest.fixture(scope="module")
def rows(cache: Path) -> CSimExecutor:
    return CSimExecutor(row_network(), directory=cache / "rows")


@pytest.fixture(scope="module")
def graphs(cache: Path) -> CSimExecutor:
    return CSimExecutor(graph_network(), directory=cache / "graphs")


def assert_equal(executor: CSimExecutor, *, seed: int = 0) -> None:
    graph = executor.graph
    sizes = [{"R": size, "N": 0, "E": 0} for size in (0, 1, 50)]
    if graph.is_graph_network:
        most = graph.maxima
        sizes = [
            {"N": 1, "E": 0},
            {"N": max(1, most.nodes // 2), "E": most.edges // 2},
            {"N": most.nodes, "E": most.edges},
        ]
    batches = [random_inputs(graph, seed=seed, sizes=size) for size in sizes]
    ladder = compare_executors(
        make_executor("golden", graph), [executor], [*batches, *extreme_vectors(graph, seed=seed, random_rows=300)]
    )
    assert {rung.node for rung in ladder.rungs} == {node.name for node in graph.visible}
    assert all(rung.compared > 0 for rung in ladder.rungs)
    assert ladder.first_divergence is None


@pytest.mark.parametrize("which", ["rows", "graphs"])
def test_every_visible_node_equals_golden(which: str, request: pytest.FixtureRequest) -> None:
    executor = request.getfixturevalue(which)
    assert_equal(executor)
    inputs = next(iter(extreme_vectors(executor.graph, random_rows=10)))
    ours, theirs = executor.run(inputs), make_executor("golden", executor.graph).run(inputs)
    assert all(np.array_equal(ours[name], theirs[name]) and ours[name].dtype == np.float32 for name in theirs)


@pytest.mark.parametrize("mode", ["sum", "max"])
def test_small_graphs_in_parallel(mode: str, cache: Path) -> None:
    config = ProjectConfig(io_type="io_parallel")
    assert_equal(CSimExecutor(hand_graph(mode), directory=cache / mode, config=config))


@pytest.mark.slow
@given(graph=row_networks(), seed=st.integers(0, 999))
@settings(max_examples=4, **SLOW_DRAW)
def test_random_row_networks(graph: TypedGraph, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert_equal(CSimExecutor(graph, directory=tmp_path_factory.mktemp("random")), seed=seed)


@pytest.mark.slow
@given(
    graph=graph_networks(), seed=st.integers(0, 999), io_type=st.sampled_from(["io_stream", "io_stream", "io_parallel"])
)
@settings(max_examples=4, **SLOW_DRAW)
def test_random_graph_networks(
    graph: TypedGraph, seed: int, io_type: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = ProjectConfig(io_type=io_type)  # type: ignore[arg-type] - drawn from the literals
    assert_equal(CSimExecutor(graph, directory=tmp_path_factory.mktemp("random"), config=config), seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [{"backend": "Vivado"}, {"io_type": "io_stream"}, {"strategy": "Resource", "reuse_factor": 4}, {"reuse_factor": 3}],
)
def test_other_configurations(config: dict[str, str], tmp_path: Path) -> None:
    for graph in (row_network(), graph_network()):
        assert_equal(CSimExecutor(graph, directory=tmp_path / graph.name, config=ProjectConfig(**config)))  # type: ignore[arg-type]


def test_input_values_far_outside_the_format(rows: CSimExecutor) -> None:
    extremes = np.array(
        [0.0, -0.0, 1e-45, -1e-45, 1e-30, -1e-30, 1e9, -1e9, 1e19, -1e19, 3.4e38, -3.4e38], dtype=np.float32
    )
    inputs = {"double": np.repeat(extremes[:, None], 4, axis=1)}
    expected = make_executor("golden", rows.graph).run_integers(inputs)
    found = rows.run_integers(inputs)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("nodes", "edges"), [(10, 3), (3, 15)])
def test_graph_larger_than_the_maxima(graphs: CSimExecutor, nodes: int, edges: int) -> None:
    inputs = random_inputs(graphs.graph, seed=0, sizes={"N": nodes, "E": edges})
    with pytest.raises(GraphError, match=f"{nodes} nodes and {edges} edges exceeds the 9 nodes and 14 edges"):
        graphs.run(inputs)


def test_index_between_the_graph_and_the_maxima_is_padding(graphs: CSimExecutor) -> None:
    inputs = random_inputs(graphs.graph, seed=3, sizes={"N": 4, "E": 3})
    inputs["edge_index"] = np.array([[0, 1], [4, 2], [3, 10**12]])
    expected = make_executor("golden", graphs.graph).run_integers(inputs)
    found = graphs.run_integers(inputs)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_bad_input_is_named(rows: CSimExecutor) -> None:
    with pytest.raises(DataError, match="double has dtype float64"):
        rows.run({"double": np.zeros((2, 4))})


def test_moved_project_gives_the_same(graphs: CSimExecutor, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere with space"
    shutil.copytree(graphs.project.directory, moved, ignore=shutil.ignore_patterns("build"))
    executor = CSimExecutor(graphs.graph, project=moved)
    assert executor.project.directory == moved
    assert_equal(executor)


def test_project_of_another_network_is_refused(rows: CSimExecutor) -> None:
    with pytest.raises(GraphError, match="built from another version of interaction"):
        CSimExecutor(graph_network(), project=rows.project)


def test_a_changed_weight_changes_the_answer(cache: Path, rows: CSimExecutor) -> None:
    node = rows.graph["layer2"]
    weight = node.weight.copy()  # type: ignore[attr-defined] - layer2 is Dense
    weight[0, 0] += 1 if weight[0, 0] < 0 else -1
    mutant = CSimExecutor(rows.graph.with_dense("layer2", weight=weight), directory=cache / "mutant")
    ladder = compare_executors(make_executor("golden", rows.graph), [mutant], extreme_vectors(rows.graph))
    assert ladder.first_divergence is not None
    assert ladder.first_divergence.node == "hidden"


def test_project_in_the_users_cache_is_reused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = make_executor("csim", hand_graph())
    second = make_executor("csim", hand_graph())
    assert isinstance(first, CSimExecutor) and isinstance(second, CSimExecutor)
    assert first.project == second.project
    assert len(list((first.project.directory / "build").glob("*.so"))) == 1


@pytest.mark.slow
def test_each_planted_fault_is_caught(tmp_path: Path) -> None:
    def make(mutation: Mutation) -> CSimExecutor:
        folder = tmp_path / mutation.kind.replace(" ", "-")
        return CSimExecutor(mutation.graph, directory=folder, accumulator_widths=mutation.accumulator_widths)

    graph = hand_graph()
    vectors = random_inputs(graph, seed=1, sizes={"N": 4, "E": 6})
    results = try_mutations(graph, vectors, make=make, executor="csim")
    assert {result.kind for result in results} <= set(KINDS)
    assert {result.kind for result in results} >= {"weight bit", "saturation", "negative values", "accumulator width"}
    assert len(results) >= 7
    assert all(result.caught and result.executor == "csim" for result in results)


def test_a_damaged_project_in_the_cache_is_written_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    project = cached_project(hand_graph())
    (project.directory / "firmware" / "defines.h").write_text("// nothing")
    assert HlsProject.load(cached_project(hand_graph()).directory) == project


def test_a_library_cut_short_is_compiled_again(tmp_path: Path) -> None:
    project = write_project(hand_graph(), tmp_path / "project")
    library = compile_csim(project)
    whole = library.read_bytes()
    library.write_bytes(whole[: len(whole) // 2])
    assert compile_csim(project) == library
    assert library.read_bytes() == whole
    compiled = library.stat().st_mtime_ns
    assert compile_csim(project).stat().st_mtime_ns == compiled


def test_a_library_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "csim.so").write_text("of another machine")
    with pytest.raises(ToolError, match=r"cannot load .*csim.so: .*; remove .*, it is compiled again"):
        load_library(tmp_path / "csim.so")


def _results(directory: Path, seed: int) -> np.ndarray:
    project = HlsProject.load(directory)
    executor = CSimExecutor(project.graph, project=project)
    return executor.run(random_inputs(project.graph, seed=seed, sizes={"N": 4, "E": 6}))["result"]


def test_several_processes_compile_and_load_at_once(tmp_path: Path) -> None:
    project = write_project(hand_graph(), tmp_path / "project")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        answers = pool.starmap(_results, [(project.directory, 5)] * 2)
    golden = make_executor("golden", project.graph).run(random_inputs(project.graph, seed=5, sizes={"N": 4, "E": 6}))
    assert all(np.array_equal(answer, golden["result"]) for answer in answers)


@pytest.mark.parametrize("build", [row_network, graph_network])
def test_two_threads_share_an_executor(build: Callable[[], TypedGraph], request: pytest.FixtureRequest) -> None:
    from concurrent.futures import ThreadPoolExecutor

    executor = request.getfixturevalue("graphs" if build().is_graph_network else "rows")
    batches = [random_inputs(executor.graph, seed=seed, sizes={"R": 200, "N": 9, "E": 14}) for seed in range(8)]
    golden = make_executor("golden", executor.graph)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(executor.run_integers, batches))
    for batch, answer in zip(batches, found, strict=True):
        expected = golden.run_integers(batch)
        assert all(np.array_equal(answer[name], expected[name]) for name in expected)
