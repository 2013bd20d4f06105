"""The NumPy executor: equality with golden on random networks, beyond 24 and 53 bits, in blocks, from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import DataError, GraphError
from hitfabric.emulation import compare_executors, extreme_vectors, make_executor, numpy_plan, try_mutations
from hitfabric.emulation.numpy_executor import NumpyExecutor
from hitfabric.emulation.ranges import DOUBLE_LIMIT, FLOAT_LIMIT, holder, largest_partial_sum
from hitfabric.quantization import Dense, FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.hand_graph import A8, hand_graph
from support.random_graphs import graph_networks, random_inputs, row_networks

SLOW_DRAW: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
}
ROUNDINGS = st.sampled_from(["TRN", "RND_CONV"])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_plan, "BLOCK_BYTES", 1)  # as many rows as a block has at least


def assert_equal(graph: TypedGraph, seed: int, *, sizes: list[dict[str, int]]) -> None:
    golden, executor = make_executor("golden", graph), NumpyExecutor(graph, threads=2)
    batches = [random_inputs(graph, seed=seed, sizes=size) for size in sizes]
    ladder = compare_executors(golden, [executor], [*batches, *extreme_vectors(graph, seed=seed, random_rows=150)])
    assert ladder.compared > 0
    assert ladder.mismatches == {graph.name: {"numpy": 0}}
    for batch in batches:
        ours, theirs = executor.run(batch), golden.run(batch)
        for name in theirs:
            assert ours[name].dtype == np.float32
            assert ours[name].tobytes() == theirs[name].tobytes()  # signs of zeros included


@given(graph=row_networks(), seed=st.integers(0, 999))
@settings(max_examples=60, **SLOW_DRAW)
def test_equals_golden_on_row_networks(graph: TypedGraph, seed: int, small_blocks: None) -> None:
    assert_equal(graph, seed, sizes=[{"R": rows} for rows in (0, 1, 33, 200)])


@given(graph=graph_networks(), seed=st.integers(0, 999))
@settings(max_examples=60, **SLOW_DRAW)
def test_equals_golden_on_graph_networks(graph: TypedGraph, seed: int, small_blocks: None) -> None:
    assert_equal(
        graph, seed, sizes=[{"N": n, "E": e} for n, e in ((0, 0), (0, 3), (1, 0), (1, 1), (40, 100), (70, 300))]
    )


@given(graph=row_networks(bits=28), seed=st.integers(0, 999))
@settings(max_examples=60, **SLOW_DRAW)
def test_equals_golden_on_wide_row_networks(graph: TypedGraph, seed: int) -> None:
    assert_equal(graph, seed, sizes=[{"R": 33}])


@given(
    bits=st.sampled_from([10, 14, 24, 28]),
    inputs=st.sampled_from([1, 3, 40]),
    rounding=ROUNDINGS,
    result_bits=st.integers(2, 40),
    integer=st.integers(-8, 60),
    seed=st.integers(0, 999),
)
@settings(max_examples=120, **SLOW_DRAW)
def test_accumulators_beyond_24_and_53_bits(
    bits: int, inputs: int, rounding: Literal["TRN", "RND_CONV"], result_bits: int, integer: int, seed: int
) -> None:
    assert_equal(
        wide_network(bits, inputs, rounding=rounding, result_bits=result_bits, integer=integer),
        seed,
        sizes=[{"R": 5}],
    )


def wide_network(bits: int, inputs: int, *, rounding: Any, result_bits: int, integer: int) -> TypedGraph:
    generator = np.random.default_rng(bits * inputs)
    form = FixedPoint(signed=True, width=bits, integer=bits)
    builder = GraphBuilder()
    features = builder.input("features", shape=("R", inputs), format=form)
    dense = builder.dense(
        "dense",
        features,
        weight=generator.choice([form.low, form.high, 1, 0, -1], (4, inputs)),
        weight_format=form,
        bias=np.array([form.low, form.high, 1, 0]),
        bias_format=form,
    )
    result = FixedPoint(signed=True, width=result_bits, integer=integer, rounding=rounding)
    builder.output("result", builder.requantize("narrow", dense, format=result))
    builder.output("sum", dense)
    return TypedGraph.from_builder(builder, name="wide")


@pytest.mark.parametrize(
    ("bits", "inputs", "kind"),
    [(10, 3, np.float32), (14, 1, np.float64), (24, 40, np.float64), (28, 1, np.int64), (28, 40, np.int64)],
)
def test_sums_are_computed_in_the_narrowest_type_that_is_proven(bits: int, inputs: int, kind: type) -> None:
    graph = wide_network(bits, inputs, rounding="TRN", result_bits=8, integer=8)
    assert numpy_plan.plan(graph).layers["dense"].weight.dtype == kind


@pytest.mark.parametrize("limit", [FLOAT_LIMIT, DOUBLE_LIMIT])
def test_a_type_holds_exactly_up_to_its_limit(limit: int) -> None:
    kind = holder(limit)
    assert int(kind.type(limit)) == limit and int(kind.type(limit - 1)) == limit - 1
    assert int(kind.type(limit + 1)) != limit + 1
    assert holder(limit + 1) != kind


@given(graph=row_networks(), seed=st.integers(0, 999))
@settings(max_examples=40, **SLOW_DRAW)
def test_no_subset_of_terms_exceeds_the_bound(graph: TypedGraph, seed: int) -> None:
    """Every sum of some products, of any admitted inputs, in Python's integers."""
    generator = np.random.default_rng(seed)
    for node in (node for node in graph.nodes if isinstance(node, Dense)):
        source = graph[node.inputs[0]].tensor
        bound, shift = largest_partial_sum(graph, node), node.tensor.format.fraction - source.format.fraction
        shift -= node.weight_format.fraction
        for _ in range(20):
            values = generator.choice([source.low, source.high], node.weight.shape[1])
            chosen = generator.integers(0, 2, node.weight.shape[1])
            assert np.abs((node.weight * values * chosen).sum(axis=1) << shift).max() <= bound
        assert bound >= max(abs(node.tensor.low), abs(node.tensor.high)) or source.low > 0 or source.high < 0


def test_a_network_whose_inputs_are_all_zero_is_its_bias() -> None:
    """A range of 0..0 lets weights lie on a grid that no format of the sum could hold."""
    zero = FixedPoint(signed=False, width=2, integer=2)
    coarse = FixedPoint(signed=True, width=4, integer=128, overflow="SAT_SYM")
    fine = FixedPoint(signed=True, width=8, integer=0)
    builder = GraphBuilder()
    features = builder.input("features", shape=("R", 1), format=zero)
    weight = FixedPoint(signed=True, width=4, integer=4, overflow="SAT_SYM")
    negative = builder.dense("negative", features, weight=np.array([[-1]]), weight_format=weight)
    dead = builder.requantize("dead", negative, format=zero)
    last = builder.dense(
        "last", dead, weight=np.array([[7]]), weight_format=coarse, bias=np.array([-3]), bias_format=fine
    )
    builder.output("result", builder.requantize("narrow", last, format=A8))
    builder.output("exact", last)
    assert_equal(TypedGraph.from_builder(builder, name="dead"), 0, sizes=[{"R": 9}])


@pytest.mark.parametrize("mode", ["sum", "max"])
def test_more_edges_than_the_maxima_stay_exact(mode: str, small_blocks: None) -> None:
    """Sums beyond the range proven for the maxima, into a format that holds them, and a layer after it."""
    wide = FixedPoint(signed=True, width=23, integer=23)
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=2))
    edges, index = builder.input("edges", shape=("E", 2), format=A8), builder.edge_index("edge_index")
    nodes = builder.input("nodes", shape=("N", 1), format=A8)
    total = builder.edge_aggregate("total", edges, index, mode=mode)  # type: ignore[arg-type] - drawn from the literals
    kept = builder.requantize("kept", total, format=wide)
    joined = builder.concat("joined", [nodes, kept])
    builder.output("result", builder.dense("mix", joined, weight=np.full((1, 3), 127), weight_format=A8))
    graph = TypedGraph.from_builder(builder, name="sums")
    inputs = random_inputs(graph, seed=3, sizes={"N": 3, "E": 40_000})
    inputs["edges"][:] = np.abs(inputs["edges"])
    golden, executor = make_executor("golden", graph), NumpyExecutor(graph)
    for batch in (inputs, random_inputs(graph, seed=4, sizes={"N": 2, "E": 2}), inputs):
        expected, found = golden.run_integers(batch), executor.run_integers(batch)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    if mode == "sum":
        assert expected["result"].max() > FLOAT_LIMIT > executor.graph["mix"].tensor.high


def test_edges_beyond_the_proof_are_refused_only_where_one_is_needed() -> None:
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=6))
    edges, index = builder.input("edges", shape=("E", 1), format=A8), builder.edge_index("edge_index")
    nodes = builder.input("nodes", shape=("N", 1), format=A8)
    builder.output("result", builder.concat("joined", [nodes, builder.edge_aggregate("total", edges, index)]))
    graph = TypedGraph.from_builder(builder, name="raw_sums")
    assert_equal(graph, 0, sizes=[{"N": 3, "E": 6}])
    with pytest.raises(GraphError, match="7 edges exceeds the 6"):
        NumpyExecutor(graph).run(random_inputs(graph, seed=0, sizes={"N": 3, "E": 7}))


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("mode", ["sum", "max"])
def test_an_aggregate_seen_as_it_is_and_gathered_again(mode: Any, column: Any) -> None:
    """No Requantize between: negative maxima are 0, and neither padding edges nor padding ends count for anything."""
    builder = GraphBuilder(maxima=Maxima(nodes=6, edges=40))
    edges, index = builder.input("edges", shape=("E", 2), format=A8), builder.edge_index("edge_index")
    total = builder.edge_aggregate("total", edges, index, mode=mode, column=column)
    builder.output("seen", total)
    builder.output("again", builder.edge_gather("ends", total, index))
    nodes = builder.input("nodes", shape=("N", 1), format=A8)
    builder.output("same", nodes)
    graph = TypedGraph.from_builder(builder, name="raw")
    assert_equal(graph, 5, sizes=[{"N": n, "E": e} for n, e in ((3, 40), (6, 9), (0, 4), (1, 1))])
    edge = {"nodes": np.zeros((2, 1), dtype=np.float32), "edges": np.full((2, 2), -5, dtype=np.float32)}
    found = NumpyExecutor(graph).run({**edge, "edge_index": np.array([[1, 1], [2, 2]])})
    assert found["seen"].tolist() == [[0, 0], [0, 0] if mode == "max" else [-5, -5]]
    assert found["again"][1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("mode", ["sum", "max"])
@pytest.mark.parametrize("padding", [3, 4, 2**31, 2**62])
def test_padding_of_any_index_counts_for_nothing(mode: str, padding: int) -> None:
    graph = hand_graph(mode)
    inputs = {
        "nodes": np.array([[1.0], [3.0], [10.9]], dtype=np.float32),
        "edge_index": np.array([[0, 1], [padding, padding], [0, 2], [1, 2], [2, 0], [0, padding], [padding, 2]]),
    }
    expected, found = make_executor("golden", graph).run_integers(inputs), NumpyExecutor(graph).run_integers(inputs)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert found["result"][:, 0].tolist() == ([0, 2, 15] if mode == "sum" else [0, 2, 10])


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_same_for_any_number_of_threads_and_from_many_at_once(threads: int, small_blocks: None) -> None:
    graph = hand_graph()
    executor, golden = NumpyExecutor(graph, threads=threads), make_executor("golden", graph)
    batches = [random_inputs(graph, seed=seed, sizes={"N": 500 + seed, "E": 900 * seed}) for seed in range(12)]
    expected = [golden.run_integers(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(executor.run_integers, batches * 3))
    for ours, theirs in zip(found, expected * 3, strict=True):
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_inputs_are_left_alone_and_results_are_the_callers_own() -> None:
    graph = hand_graph()
    inputs = random_inputs(graph, seed=1, sizes={"N": 9, "E": 20})
    before = {name: array.copy() for name, array in inputs.items()}
    executor = NumpyExecutor(graph)
    first = executor.run(inputs)
    kept = {name: array.copy() for name, array in first.items()}
    executor.run(random_inputs(graph, seed=2, sizes={"N": 9, "E": 20}))
    assert all(np.array_equal(inputs[name], before[name]) for name in before)
    assert all(np.array_equal(first[name], kept[name]) for name in kept)


@pytest.mark.parametrize("kind", [np.int32, np.uint64, np.uint8])
def test_indices_of_any_integer_type_and_layout(kind: type) -> None:
    graph = hand_graph()
    inputs = random_inputs(graph, seed=1, sizes={"N": 9, "E": 20})
    expected = make_executor("golden", graph).run(inputs)
    turned = np.asfortranarray(inputs["edge_index"].astype(kind))
    found = NumpyExecutor(graph).run({"nodes": np.repeat(inputs["nodes"], 2, axis=0)[::2], "edge_index": turned})
    assert np.array_equal(found["result"], expected["result"])


@given(graph=row_networks(), seed=st.integers(0, 99))
@settings(max_examples=10, **SLOW_DRAW)
def test_planted_faults_are_caught(graph: TypedGraph, seed: int) -> None:
    vectors = random_inputs(graph, seed=seed, sizes={"R": 100})
    results = try_mutations(
        graph, vectors, make=lambda mutation: NumpyExecutor(mutation.graph), executor="numpy", seed=seed
    )
    assert all(result.caught and result.executor == "numpy" for result in results)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"nodes": np.zeros((3, 1))}, "nodes has dtype float64"),
        ({"nodes": np.array([[0.0], [np.nan]], dtype=np.float32)}, "nodes holds NaN .* row 1"),
        ({"edge_index": np.array([[0, -1]])}, "negative"),
        ({"extra": np.zeros(1)}, "extra"),
    ],
)
def test_bad_input_is_named(changes: dict[str, np.ndarray], named: str) -> None:
    inputs = {"nodes": np.zeros((3, 1), dtype=np.float32), "edge_index": np.zeros((2, 2), dtype=np.int64), **changes}
    with pytest.raises(DataError, match=named):
        make_executor("numpy", hand_graph()).run(inputs)
