"""Native code equals golden: random networks, and each rare path by a network made for it, by every instruction set."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.emulation import extreme_vectors, make_executor
from hitfabric.emulation.native_operations import Linear
from hitfabric.emulation.native_pack import EVERY, OWN, SOME, pack
from hitfabric.emulation.native_plan import MOST_FEATURES, plan
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.native_networks import Rounding, activation, messages, perceptron_of, requantized, unlike_grids
from support.native_sets import assert_native_equals_golden, instruction_sets
from support.random_graphs import graph_networks, random_inputs, row_networks

FEW = settings(
    max_examples=2,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each step of shrinking would compile
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MANY = settings(FEW, max_examples=15)

ROWS = st.one_of(row_networks(), row_networks(bits=24))
GRAPHS = st.one_of(graph_networks(), graph_networks(bits=16), graph_networks(bits=24))
SEEDS = st.integers(0, 999)


def assert_equal(graph: TypedGraph, seed: int) -> None:
    """Sizes around a block of 64 rows, beyond the maxima, and the extremes of every format."""
    sizes: list[dict[str, int]] = [{"R": rows} for rows in (0, 1, 2, 17, 33, 64, 65, 200)]
    if graph.is_graph_network:
        sizes = [{"N": n, "E": e} for n, e in ((0, 0), (0, 3), (1, 0), (1, 1), (40, 100), (300, 900))]
    batches = [random_inputs(graph, seed=seed, sizes=size) for size in sizes]
    assert_native_equals_golden(graph, [*batches, *extreme_vectors(graph, seed=seed, random_rows=70)])


@given(graph=ROWS, seed=SEEDS)
@FEW
def test_row_networks(graph: TypedGraph, seed: int) -> None:
    assert_equal(graph, seed)


@given(graph=GRAPHS, seed=SEEDS)
@FEW
def test_graph_networks(graph: TypedGraph, seed: int) -> None:
    assert_equal(graph, seed)


@pytest.mark.slow
@given(graph=ROWS, seed=SEEDS)
@MANY
def test_many_row_networks(graph: TypedGraph, seed: int) -> None:
    assert_equal(graph, seed)


@pytest.mark.slow
@given(graph=GRAPHS, seed=SEEDS)
@MANY
def test_many_graph_networks(graph: TypedGraph, seed: int) -> None:
    assert_equal(graph, seed)


def test_instruction_sets_end_with_plain() -> None:
    assert instruction_sets()[-1] == "plain"


def every_target(rounding: Rounding) -> list[FixedPoint]:
    """Formats to the left and to the right of a source of 3 integer bits, as bytes, shorts, ints and more."""
    return [
        activation(width, integer, signed=signed, rounding=rounding, narrow=signed and number % 2 == 0)
        for number, (width, integer, signed) in enumerate(
            [
                (8, 3, True),
                (5, 2, True),
                (6, 6, False),
                (8, -1, False),
                (14, 1, True),
                (16, 12, True),
                (12, 9, False),
                (31, 2, True),
                (24, 20, True),
                (28, -2, False),
                (45, 4, True),
                (62, 40, True),
                (60, -4, False),
                (3, 30, True),
            ]
        )
    ]


@pytest.mark.parametrize("rounding", ["TRN", "RND_CONV"])
@pytest.mark.parametrize(
    "width", [8, 16, pytest.param(11, marks=pytest.mark.slow), pytest.param(48, marks=pytest.mark.slow)]
)
def test_rounding_shifts_and_saturation_of_every_value(width: int, rounding: Rounding) -> None:
    """Half to even, left shifts and symmetric saturation of each integer of the source, or of those at its ends."""
    source = activation(width, 3)
    graph = requantized(source, every_target(rounding), features=4)
    ends = 2 ** min(width - 1, 13)
    integers = np.concatenate([source.low + np.arange(ends), np.arange(-ends, ends), source.high - np.arange(ends)])
    values = (integers.astype(np.float64) * source.scale).astype(np.float32)
    assert_native_equals_golden(graph, [{"features": np.resize(values, (len(values) // 4, 4))}])


@pytest.mark.parametrize("width", [24, 25, 32, 53, 54, 62])
@pytest.mark.slow
def test_ends_of_input_formats(width: int) -> None:
    """The largest integer of a wide format is no float64."""
    for signed in (True, False):
        for narrow in {False, signed}:
            source = activation(width, 10, signed=signed, narrow=narrow, rounding="RND_CONV")
            graph = requantized(source, [activation(62, 12), activation(61, 11, signed=False)], features=2)
            batch = random_inputs(graph, seed=1, sizes={"R": 65})
            ends = [
                [1e30, -1e30],
                [3e38, -3e38],
                [1e-45, -1e-45],
                [source.high * source.scale, source.low * source.scale],
            ]
            batch["features"][:4] = np.array(ends, dtype=np.float32)
            assert_native_equals_golden(graph, [batch])


def visits(graph: TypedGraph) -> set[str]:
    """Ways in which the packed weights are visited."""
    operations = [operation for segment in plan(graph).segments for operation in segment.operations]
    packed = [pack(operation) for operation in operations if isinstance(operation, Linear) and operation.in_32_bits]
    return {stage.visit for one in packed for stage in one.stages}


@pytest.mark.parametrize(
    ("zeros", "idle", "weight_bits", "bits", "ways"),
    [
        (0.0, 0.0, 8, 8, {EVERY}),
        (0.0, 0.4, 8, 8, {SOME}),
        (0.8, 0.0, 8, 8, {OWN}),
        (0.8, 0.0, 8, 14, {OWN}),
        (0.0, 0.4, 8, 14, {SOME}),
        (0.95, 0.0, 6, 24, {OWN}),
        (0.0, 0.4, 4, 20, {SOME}),
        (0.5, 0.0, 16, 8, {EVERY}),
    ],
)
@pytest.mark.slow
def test_sparse_weights(zeros: float, idle: float, weight_bits: int, bits: int, ways: set[str]) -> None:
    found = set()
    for seed, widths in enumerate(([40, 30, 24, 5], [130, 20, 3])):
        formats = [activation(bits, 3)] * (len(widths) - 1)
        graph = perceptron_of(formats, widths, seed=seed, zeros=zeros, idle=idle, weight_bits=weight_bits)
        found |= visits(graph)
        assert_equal(graph, seed)
    assert ways <= found


def test_layers_of_zeros() -> None:
    for zeros, bias in ((1.0, False), (1.0, True)):
        graph = perceptron_of([activation(8, 3)] * 3, [5, 7, 6, 2], seed=1, zeros=zeros, bias=bias)
        assert_equal(graph, 1)


DIGITS = [(8, 16, "TRN"), (14, 18, "TRN")]
MORE_DIGITS = [(8, 16), (8, 11), (14, 18), (14, 24), (20, 12), (30, 20)]


@pytest.mark.parametrize(
    ("bits", "weight_bits", "rounding"),
    [*DIGITS, *(pytest.param(*bits, "RND_CONV", marks=pytest.mark.slow) for bits in MORE_DIGITS)],
)
def test_weights_of_several_digits(bits: int, weight_bits: int, rounding: Rounding) -> None:
    """Weights longer than the multiplication's, among them the most negative ones, whose digits carry."""
    graph = perceptron_of([activation(bits, 3, rounding=rounding)] * 2, [9, 11, 3], seed=bits, weight_bits=weight_bits)
    assert_equal(graph, 3)


@pytest.mark.parametrize("rounding", ["TRN", pytest.param("RND_CONV", marks=pytest.mark.slow)])
def test_unlike_grids_and_residual_sums(rounding: Rounding) -> None:
    for seed in range(2 if rounding == "RND_CONV" else 1):
        assert_equal(unlike_grids(seed=seed, rounding=rounding), seed)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, [200, 130, 65, 16]), (8, [64, 64, 64, 64]), (16, [33, 70, 17])])
def test_large_layers(shape: tuple[int, list[int]]) -> None:
    bits, widths = shape
    for signed in (True, False):
        form = activation(bits, 4, signed=signed)
        assert_equal(perceptron_of([form] * (len(widths) - 1), widths, seed=9, weight_bits=bits), 4)


def hub(graph: TypedGraph, *, edges: int, value: float, others: int = 3) -> dict[str, np.ndarray]:
    """All edges but a few at node 1, each with the same message."""
    index = np.ones((edges, 2), dtype=np.int64)
    index[:3] = [[0, 2], [2, 0], [others, others]]
    width = graph["edges"].tensor.width
    return {
        "edges": np.full((edges, width), value, dtype=np.float32),
        "nodes": np.zeros((others, 1), dtype=np.float32),
        "edge_index": index,
    }


@pytest.mark.parametrize(
    "bits", [8, 16, 20, pytest.param(17, marks=pytest.mark.slow), pytest.param(31, marks=pytest.mark.slow)]
)
def test_sums_of_very_many_edges(bits: int) -> None:
    """Beyond 65,535 messages of 16 bits at one node, and beyond 2^31, where what follows saturates."""
    graph = messages(activation(bits, 4), activation(30, 26))
    assert_native_equals_golden(graph, [hub(graph, edges=70_001, value=value) for value in (-8.0, 7.99999, 0.37)])


@pytest.mark.slow
@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("mode", ["sum", "max"])
@pytest.mark.parametrize("bits", [5, 8, 16, 24, 40])
def test_aggregates_of_every_kind_of_message(bits: int, mode: Literal["sum", "max"], column: Literal[0, 1]) -> None:
    for features, signed in ((1, True), (3, False), (5, True)):
        form = activation(bits, 4, signed=signed)
        graph = messages(form, activation(20, 10), mode=mode, features=features, column=column, edges=5_000)
        batches = [hub(graph, edges=5_000, value=value) for value in (-8.0, 15.99)]
        sizes = [{"N": 70, "E": 1}, {"N": 1, "E": 700}, {"N": 130, "E": 3000}, {"N": 0, "E": 9}]
        assert_native_equals_golden(graph, [*batches, *(random_inputs(graph, seed=2, sizes=size) for size in sizes)])


def test_sums_that_are_read_as_they_are() -> None:
    """Exact within the maxima, in 32 and in 64 bits."""
    for width, edges in ((8, 100), (28, 1000)):
        builder = GraphBuilder(maxima=Maxima(nodes=50, edges=edges))
        given = builder.input("edges", shape=("E", 2), format=activation(width, 8))
        nodes = builder.input("nodes", shape=("N", 1), format=activation(8, 8))
        index = builder.edge_index("edge_index")
        total = builder.edge_aggregate("total", given, index)
        builder.output("result", builder.concat("joined", [nodes, total]))
        builder.output("again", builder.requantize("quant", total, format=activation(9, 8)))
        graph = TypedGraph.from_builder(builder, name="raw")
        assert_native_equals_golden(
            graph, [hub(graph, edges=edges, value=-128.0), random_inputs(graph, seed=1, sizes={"N": 50, "E": edges})]
        )


@pytest.mark.slow
def test_more_edges_and_nodes_than_the_maxima() -> None:
    graph = messages(activation(12, 5), activation(24, 18))
    assert (graph.maxima.nodes, graph.maxima.edges) == (8, 16)
    assert_native_equals_golden(graph, [random_inputs(graph, seed=1, sizes={"N": 50_000, "E": 400_000})], threads=3)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 40])
def test_as_many_features_as_native_code_holds(bits: int) -> None:
    graph = perceptron_of([activation(bits, 5)] * 2, [MOST_FEATURES, 2, 2], seed=1, weight_bits=6)
    assert_native_equals_golden(graph, [random_inputs(graph, seed=1, sizes={"R": rows}) for rows in (1, 3, 66)])


def test_more_features_are_refused() -> None:
    """They would not fit the stack of a thread."""
    graph = perceptron_of([activation(8, 5)], [MOST_FEATURES + 1, 2], seed=1)
    with pytest.raises(GraphError, match="node features has 4097 features, native code holds up to 4096; use"):
        make_executor("native", graph)
