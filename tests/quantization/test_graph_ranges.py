"""Derived ranges against rational arithmetic: attained where every input is tried, sound and exact up to 62 bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.exact import exact_integer, exact_value, exact_values
from support.random_graphs import graph_networks, random_inputs, row_networks

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]


@st.composite
def forms(draw: st.DrawFn, *, narrowest: int = 1, widest: int = 3, wrap: bool = False) -> FixedPoint:
    signed, width = draw(st.booleans()), draw(st.integers(narrowest, widest))
    overflow = draw(
        st.sampled_from(["SAT", *(["SAT_SYM"] if signed and width > 1 else []), *(["WRAP"] if wrap else [])])
    )
    rounding = draw(st.sampled_from(["TRN", "RND_CONV"]))
    integer = width - draw(st.integers(-2, 4))
    return FixedPoint(signed=signed, width=width, integer=integer, rounding=rounding, overflow=overflow)


def integers(draw: st.DrawFn, form: FixedPoint, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    drawn = draw(st.lists(st.integers(form.low, form.high), min_size=count, max_size=count))
    return np.array(drawn, dtype=np.int64).reshape(shape)


@st.composite
def affine_maps(draw: st.DrawFn, *, narrowest: int = 1, widest: int = 3, fan_in: int = 2) -> TypedGraph:
    """An input, a Dense and a Requantize."""
    builder = GraphBuilder()
    source = builder.input("x", shape=("R", fan_in), format=draw(forms(narrowest=narrowest, widest=widest)))
    weight_form = draw(forms(narrowest=narrowest, widest=widest, wrap=True))
    bias_form = draw(st.none() | forms(narrowest=narrowest, widest=widest, wrap=True))
    outputs = draw(st.integers(1, 3))
    dense = builder.dense(
        "dense",
        source,
        weight=integers(draw, weight_form, (outputs, fan_in)),
        weight_format=weight_form,
        bias=integers(draw, bias_form, (outputs,)) if bias_form is not None else None,
        bias_format=bias_form,
    )
    builder.output("y", builder.requantize("quant", dense, format=draw(forms(widest=max(widest, 5)))))
    return TypedGraph.from_builder(builder, name="affine")


def ends(name: str, tried: Iterable[dict[str, list[list[Fraction]]]]) -> tuple[Fraction, Fraction]:
    found = [item for values in tried for row in values[name] for item in row]
    return min(found), max(found)


def derived(graph: TypedGraph, name: str) -> tuple[Fraction, Fraction]:
    tensor = graph[name].tensor
    return exact_value(tensor.format, tensor.low), exact_value(tensor.format, tensor.high)


@settings(max_examples=60, suppress_health_check=SLOW)
@given(graph=affine_maps())
def test_ranges_of_an_affine_map_are_attained(graph: TypedGraph) -> None:
    form = graph["x"].tensor.format
    rows = [list(row) for row in product(range(form.low, form.high + 1), repeat=2)]
    values = exact_values(graph, {"x": rows})
    for name in ("dense", "quant", "y"):
        assert ends(name, [values]) == derived(graph, name)


@settings(max_examples=30, suppress_health_check=SLOW)
@given(form=forms(widest=2), column=st.sampled_from([0, 1]), mode=st.sampled_from(["sum", "max"]))
def test_ranges_of_gather_and_aggregate_are_attained(form: FixedPoint, column: int, mode: str) -> None:
    builder = GraphBuilder(maxima=Maxima(nodes=2, edges=2))
    nodes, index = builder.input("nodes", shape=("N", 1), format=form), builder.edge_index("index")
    edges = builder.input("edges", shape=("E", 1), format=form)
    builder.output("gathered", builder.edge_gather("gather", nodes, index))
    builder.output("y", builder.edge_aggregate("aggregate", edges, index, column=column, mode=mode))  # type: ignore[arg-type]
    graph = TypedGraph.from_builder(builder, name="edges")
    steps = range(form.low, form.high + 1)

    def tried() -> Iterator[dict[str, list[list[Fraction]]]]:
        for ends_of in product(range(3), repeat=2):
            for features in product(steps, repeat=2):
                column_index = [[end, end] for end in ends_of]
                inputs = {"nodes": [[x] for x in features], "edges": [[x] for x in features], "index": column_index}
                yield exact_values(graph, inputs, nodes=2)

    every = list(tried())
    for name in ("gather", "aggregate"):
        assert ends(name, every) == derived(graph, name)


@settings(max_examples=30, suppress_health_check=SLOW)
@given(first=forms(), second=forms())
def test_ranges_of_add_and_concat_are_attained(first: FixedPoint, second: FixedPoint) -> None:
    builder = GraphBuilder()
    a, b = (builder.input(name, shape=("R", 1), format=form) for name, form in (("a", first), ("b", second)))
    builder.output("sum", builder.add("added", a, b))
    builder.output("both", builder.concat("joined", [a, b]))
    graph = TypedGraph.from_builder(builder, name="pair")
    pairs = list(product(range(first.low, first.high + 1), range(second.low, second.high + 1)))
    values = exact_values(graph, {"a": [[x] for x, _ in pairs], "b": [[y] for _, y in pairs]})
    for name in ("added", "joined"):
        assert ends(name, [values]) == derived(graph, name)


@settings(max_examples=40, suppress_health_check=SLOW)
@given(graph=st.one_of(row_networks(), graph_networks()), seed=st.integers(0, 99))
def test_golden_equals_rational_arithmetic(graph: TypedGraph, seed: int) -> None:
    sizes = {"R": 3, "N": graph.maxima.nodes, "E": min(8, graph.maxima.edges)}
    inputs = random_inputs(graph, seed=seed, sizes=sizes)
    found = GoldenExecutor(graph).run_all(inputs)
    exact = exact_values(graph, {node.name: found[node.name].tolist() for node in graph.inputs}, nodes=sizes["N"])
    for node in graph.nodes:
        form = node.tensor.format
        assert [[exact_value(form, x) for x in row] for row in found[node.name].tolist()] == exact[node.name], node.name
        if isinstance(node, type(graph.inputs[0])) and not node.tensor.is_index:
            given_values = inputs[node.name].tolist()
            assert found[node.name].tolist() == [
                [exact_integer(form, Fraction(x)) for x in row] for row in given_values
            ]


def wide_inputs(graph: TypedGraph, seed: int) -> dict[str, np.ndarray]:
    """Both ends of the input's format, and numbers between."""
    generator = np.random.default_rng(seed)
    form, width = graph["x"].tensor.format, graph["x"].tensor.width
    rows = generator.uniform(float(form.low), float(form.high), (6, width)) * form.scale
    signs = generator.choice([-3e38, 3e38], (6, width))
    return {"x": np.concatenate([rows, signs]).astype(np.float32)}


@settings(max_examples=150, suppress_health_check=SLOW)
@given(data=st.data(), seed=st.integers(0, 99))
def test_wide_accumulators_are_exact_or_refused(data: st.DataObject, seed: int) -> None:
    fan_in = data.draw(st.integers(1, 9))
    try:
        graph = data.draw(affine_maps(narrowest=20, widest=36, fan_in=fan_in))
    except GraphError as error:
        assert "node dense: its exact values" in str(error)
        assert "fit no format" in str(error)
        return
    found = GoldenExecutor(graph).run_all(wide_inputs(graph, seed))
    exact = exact_values(graph, {"x": found["x"].tolist()})
    for node in graph.nodes:
        tensor = node.tensor
        assert [[exact_value(tensor.format, x) for x in row] for row in found[node.name].tolist()] == exact[node.name]
        assert tensor.low <= found[node.name].min()
        assert found[node.name].max() <= tensor.high
    form = graph["x"].tensor.format
    extremes = [
        [form.high if (weight > 0) == upper else form.low for weight in row]
        for row in graph["dense"].weight  # type: ignore[attr-defined] - a Dense node
        for upper in (False, True)
    ]
    values = exact_values(graph, {"x": extremes})
    assert ends("dense", [values]) == derived(graph, "dense")


def widest(bits: int) -> FixedPoint:
    return FixedPoint(signed=True, width=bits, integer=bits)


def test_sums_that_wrapped_int64_are_refused_by_node() -> None:
    builder = GraphBuilder()
    source = builder.input("x", shape=("R", 4), format=widest(40))
    weight = np.full((1, 4), 2**39 - 1)
    with pytest.raises(GraphError, match=r"node dense: its exact values -\d{25}\.\.\d{25} times 2\*\*0 fit no format"):
        builder.dense("dense", source, weight=weight, weight_format=widest(40))


def test_weights_whose_sum_wraps_int64_keep_their_range() -> None:
    builder = GraphBuilder()
    source = builder.input("x", shape=("R", 8), format=FixedPoint(signed=False, width=1, integer=1))
    with pytest.raises(GraphError, match=f"node dense: its exact values 0..{8 * (2**61 - 1)} "):
        builder.dense("dense", source, weight=np.full((1, 8), 2**61 - 1), weight_format=widest(62))


@pytest.mark.parametrize("edges", [2**40, np.int64(2**40)])
def test_sums_over_too_many_edges_are_refused(edges: int) -> None:
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=edges))
    index, source = builder.edge_index("index"), builder.input("e", shape=("E", 1), format=widest(30))
    with pytest.raises(GraphError, match=r"node total: its exact values .* lower the maximal edges"):
        builder.edge_aggregate("total", source, index)
    assert builder.nodes[builder.edge_aggregate("largest", source, index, mode="max")].tensor.high == 2**29 - 1


@pytest.mark.parametrize("join", ["add", "concat"])
def test_grids_too_far_apart_are_refused(join: str) -> None:
    builder = GraphBuilder()
    near = builder.input("near", shape=("R", 1), format=FixedPoint(signed=True, width=8, integer=-60))
    far = builder.input("far", shape=("R", 1), format=FixedPoint(signed=True, width=8, integer=60))
    with pytest.raises(GraphError, match="node both: its exact values"):
        builder.add("both", near, far) if join == "add" else builder.concat("both", [near, far])


def test_biases_far_below_the_products_are_refused_or_exact() -> None:
    fine = FixedPoint(signed=True, width=4, integer=-100)
    builder = GraphBuilder()
    source = builder.input("x", shape=("R", 1), format=widest(8))
    one = np.array([[1]])
    with pytest.raises(GraphError, match="node dense"):
        builder.dense("dense", source, weight=one, weight_format=widest(2), bias=np.array([1]), bias_format=fine)
    with pytest.raises(GraphError, match=r"input y has shape \('R', 0\)"):
        builder.input("y", shape=("R", 0), format=fine)


@pytest.mark.parametrize(
    "shape", [(), ("R",), ("R", 2, 2), ("X", 2), (2, "R"), (0, 2), ("R", -1), ("R", True), ("R", 2.0), (True, 2)]
)
def test_shapes_of_no_rows_and_features_are_refused(shape: tuple[object, ...]) -> None:
    with pytest.raises(GraphError, match="input x has shape"):
        GraphBuilder().input("x", shape=shape, format=widest(8))  # type: ignore[arg-type] - the fault under test


@pytest.mark.parametrize("maxima", [{"nodes": 0}, {"edges": -1}, {"nodes": 2.5}, {"edges": "8"}])
def test_maxima_that_are_no_sizes_are_refused(maxima: dict[str, object]) -> None:
    with pytest.raises(GraphError, match="maxim"):
        Maxima(**maxima)  # type: ignore[arg-type] - the fault under test
