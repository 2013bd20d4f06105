"""Golden and native executors: hand-made answers, equality on random networks, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import ConfigError, DataError, GraphError
from hitfabric.emulation import compare_executors, extreme_vectors, make_executor
from hitfabric.quantization import GraphBuilder, Maxima, TypedGraph
from support.hand_graph import A8, hand_graph
from support.random_graphs import graph_networks, random_inputs, row_networks

SLOW_DRAW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@pytest.mark.parametrize("executor", ["golden", "native"])
@pytest.mark.parametrize(("mode", "expected"), [("sum", [0, 2, 15]), ("max", [0, 2, 9])])
def test_hand_made_answer(executor: str, mode: str, expected: list[int]) -> None:
    inputs = {
        "nodes": np.array([[1.0], [3.0], [10.9]], dtype=np.float32),
        "edge_index": np.array([[0, 1], [0, 2], [1, 2], [2, 0], [0, 3], [3, 3]]),
    }
    integers = make_executor(executor, hand_graph(mode)).run_integers(inputs)
    assert integers["edge"][:, 0].tolist() == [2, 9, 7, -9, -1, 0]
    assert integers["result"][:, 0].tolist() == expected


@given(graph=row_networks(), seed=st.integers(0, 999))
@settings(max_examples=12, **SLOW_DRAW)
def test_native_equals_golden_on_row_networks(graph: TypedGraph, seed: int) -> None:
    _assert_equal(graph, seed, sizes=[{"R": rows} for rows in (0, 1, 33, 200)])


@given(graph=graph_networks(), seed=st.integers(0, 999))
@settings(max_examples=12, **SLOW_DRAW)
def test_native_equals_golden_on_graph_networks(graph: TypedGraph, seed: int) -> None:
    _assert_equal(graph, seed, sizes=[{"N": n, "E": e} for n, e in ((0, 0), (1, 0), (1, 1), (40, 100))])


def _assert_equal(graph: TypedGraph, seed: int, *, sizes: list[dict[str, int]]) -> None:
    golden, native = make_executor("golden", graph), make_executor("native", graph)
    batches = [random_inputs(graph, seed=seed, sizes=size) for size in sizes]
    ladder = compare_executors(golden, [native], [*batches, *extreme_vectors(graph, seed=seed, random_rows=100)])
    assert ladder.compared > 0
    assert ladder.mismatches == {graph.name: {"native": 0}}
    for batch in batches:
        ours, theirs = native.run(batch), golden.run(batch)
        assert all(np.array_equal(ours[name], theirs[name]) and ours[name].dtype == np.float32 for name in theirs)


def test_native_is_the_same_for_any_number_of_threads() -> None:
    graph = hand_graph()
    inputs = random_inputs(graph, seed=1, sizes={"N": 5000, "E": 20000})
    one = make_executor("native", graph, threads=1).run_integers(inputs)
    four = make_executor("native", graph, threads=4).run_integers(inputs)
    assert all(np.array_equal(one[name], four[name]) for name in one)


def test_native_refuses_edges_beyond_the_proof_only_where_it_needs_one() -> None:
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=6))
    edges, index = builder.input("edges", shape=("E", 1), format=A8), builder.edge_index("edge_index")
    nodes = builder.input("nodes", shape=("N", 1), format=A8)
    joined = builder.concat("joined", [nodes, builder.edge_aggregate("total", edges, index)])
    builder.output("result", joined)
    graph = TypedGraph.from_builder(builder, name="raw_sums")
    with pytest.raises(GraphError, match="7 edges exceeds the 6"):
        make_executor("native", graph).run(random_inputs(graph, seed=0, sizes={"N": 3, "E": 7}))


@pytest.mark.parametrize("executor", ["golden", "native"])
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"nodes": np.zeros((3, 1))}, "nodes has dtype float64"),
        ({"nodes": np.zeros((3, 2), dtype=np.float32)}, r"nodes has shape \(3, 2\)"),
        ({"nodes": np.zeros(3, dtype=np.float32)}, r"nodes has shape \(3,\)"),
        ({"nodes": np.array([[0.0], [np.nan]], dtype=np.float32)}, "nodes holds NaN .* row 1"),
        ({"nodes": np.array([[np.inf]], dtype=np.float32)}, "infinite"),
        ({"edge_index": np.zeros((2, 2), dtype=np.float32)}, "edge_index has dtype float32"),
        ({"edge_index": np.array([[0, -1]])}, "negative"),
        ({"edge_index": np.zeros((2, 3), dtype=np.int64)}, "edge_index has shape"),
        ({"extra": np.zeros(1)}, "extra"),
    ],
)
def test_bad_input_is_named(executor: str, changes: dict[str, np.ndarray], named: str) -> None:
    inputs = {"nodes": np.zeros((3, 1), dtype=np.float32), "edge_index": np.zeros((2, 2), dtype=np.int64), **changes}
    with pytest.raises(DataError, match=named):
        make_executor(executor, hand_graph()).run(inputs)


def test_unknown_executor_and_node() -> None:
    with pytest.raises(ConfigError, match="unknown executor 'gpu'"):
        make_executor("gpu", hand_graph())
    with pytest.raises(ConfigError, match="not visible"):
        make_executor("golden", hand_graph()).run_integers(
            random_inputs(hand_graph(), seed=0, sizes={"N": 1, "E": 1}), ["difference"]
        )
