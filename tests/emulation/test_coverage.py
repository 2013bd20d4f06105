"""Coverage counts what it says, admits what can occur, and the directed search finds what random vectors miss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitfabric.emulation import GraphCoverage, extreme_vectors, format_vectors
from hitfabric.emulation.coverage import ROUNDING_CASES, SATURATION_CASES, conversion_cases
from hitfabric.emulation.golden import GoldenExecutor
from hitfabric.quantization import FixedPoint, GraphBuilder, TypedGraph
from support.random_graphs import activation_formats, graph_networks, row_networks

SLOW_DRAW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
A8 = FixedPoint(signed=True, width=8, integer=8)


def by_hand(form: FixedPoint, integer: int, fraction: int) -> str:
    """The case of one integer, in exact fractions of a step of the format."""
    shift = fraction - form.fraction
    numerator, denominator = (integer, 1 << shift) if shift >= 0 else (integer << -shift, 1)
    floor, remainder = divmod(numerator, denominator)
    rounded = floor
    if form.rounding == "RND_CONV" and (2 * remainder > denominator or (2 * remainder == denominator and floor % 2)):
        rounded += 1
    if rounded < form.low:
        return "saturates low"
    if rounded > form.high:
        return "saturates high"
    if remainder == 0:
        return "exact"
    return {-1: "below half", 0: "tie", 1: "above half"}[int(np.sign(2 * remainder - denominator))]


@given(
    form=activation_formats(), fraction=st.integers(-3, 14), integers=st.lists(st.integers(-5000, 5000), max_size=40)
)
@settings(max_examples=100)
def test_cases_are_those_of_exact_arithmetic(form: FixedPoint, fraction: int, integers: list[int]) -> None:
    counts = conversion_cases(form, np.array(integers, dtype=np.int64), fraction=fraction)
    expected = [by_hand(form, integer, fraction) for integer in integers]
    assert counts == {case: expected.count(case) for case in (*SATURATION_CASES, *ROUNDING_CASES)}


@given(graph=st.one_of(row_networks(), graph_networks()), seed=st.integers(0, 99))
@settings(max_examples=25, **SLOW_DRAW)
def test_what_occurs_is_admitted(graph: TypedGraph, seed: int) -> None:
    coverage, golden = GraphCoverage(graph), GoldenExecutor(graph)
    for inputs in extreme_vectors(graph, seed=seed, random_rows=200):
        coverage.add(inputs, golden.run_all(inputs))
    for name, node in coverage.nodes.items():
        met = {case for case, count in node.cases.items() if count}
        assert met <= set(node.admitted), name
        assert node.integers == 0 or node.low <= (node.reached_low or 0) <= (node.reached_high or 0) <= node.high
        assert node.distinct is None or node.distinct <= node.high - node.low + 1


@given(graph=row_networks(), seed=st.integers(0, 99))
@settings(max_examples=15, **SLOW_DRAW)
def test_merging_parts_gives_the_whole(graph: TypedGraph, seed: int) -> None:
    golden, whole, parts = GoldenExecutor(graph), GraphCoverage(graph), [GraphCoverage(graph) for _ in range(3)]
    for number, inputs in enumerate(extreme_vectors(graph, seed=seed, random_rows=50)):
        for coverage in (whole, parts[number % 3]):
            coverage.add(inputs, golden.run_all(inputs))
    merged = GraphCoverage(graph)
    for part in parts[::-1]:
        merged.merge(part)
    for name, node in whole.nodes.items():
        other = merged.nodes[name]
        assert (other.integers, other.cases, other.reached_low, other.reached_high) == (
            node.integers,
            node.cases,
            node.reached_low,
            node.reached_high,
        )
        assert other.distinct == node.distinct


def chain(weight: list[list[int]], out: FixedPoint, *, weight_bits: int = 8) -> TypedGraph:
    builder = GraphBuilder()
    source = builder.input("features", shape=("R", len(weight[0])), format=A8)
    form = FixedPoint(signed=True, width=weight_bits, integer=0)
    dense = builder.dense("dense", source, weight=np.array(weight), weight_format=form)
    builder.output("result", builder.requantize("quant", dense, format=out))
    return TypedGraph.from_builder(builder, name="chain")


@pytest.mark.parametrize("weight", [-1, 1])
def test_rounding_to_the_ends_of_a_format_is_admitted(weight: int) -> None:
    # 1/256 of -128..127: what lies below 0 has a remainder above half and rounds to 0, the smallest of the format.
    out = FixedPoint(signed=False, width=2, integer=2, rounding="RND_CONV")
    admitted = GraphCoverage(chain([[weight]], out)).nodes["quant"].admitted
    assert admitted == ("exact", "below half", "tie", "above half")
    integers = np.arange(-128, 128) * weight
    counts = conversion_cases(out, integers, fraction=8)
    assert {case for case, count in counts.items() if count} == set(admitted)


def test_a_path_that_no_vector_takes_is_named() -> None:
    graph = chain([[1, 1]], FixedPoint(signed=True, width=4, integer=4))
    coverage, golden = GraphCoverage(graph), GoldenExecutor(graph)
    inputs = {"features": np.zeros((3, 2), dtype=np.float32)}
    coverage.add(inputs, golden.run_all(inputs))
    assert ("quant", "exact") not in list(coverage.missing())
    assert {("quant", case) for case in ("below half", "tie", "above half")} <= set(coverage.missing())
    assert coverage.nodes["quant"].admitted == ROUNDING_CASES  # 256 / 256 does not reach 7: no saturation


def test_remainders_that_the_weights_rule_out_are_not_missed() -> None:
    graph = chain([[64, 64]], FixedPoint(signed=True, width=8, integer=8))
    assert "below half" in GraphCoverage(graph).nodes["quant"].admitted  # a quarter
    graph = chain([[-128, 0]], FixedPoint(signed=True, width=8, integer=8))
    assert set(GraphCoverage(graph).nodes["quant"].admitted) == {"exact", "tie"}


@pytest.mark.parametrize("sign", [1, -1])
def test_the_search_finds_a_corner_that_random_vectors_miss(sign: int) -> None:
    """Only inputs all at the ends whose signs are those of the weights saturate: one corner of 2**24."""
    signs = np.where(np.random.default_rng(3).random(24) < 0.5, 1, -1)
    weight = (sign * 127 * signs).tolist()
    limit = 127 * 24 * 128  # the largest sum, on the grid 2**-8
    out = FixedPoint(signed=True, width=12, integer=12)
    graph = chain([weight], out)
    assert (limit >> 8) < out.high  # the format is wider: make it saturate just below the largest sum
    tight = FixedPoint(signed=True, width=11, integer=11)
    graph, golden = chain([weight], tight), GoldenExecutor(graph)
    golden = GoldenExecutor(graph)
    without = GraphCoverage(graph)
    random = np.random.default_rng(0).uniform(-190, 190, (1000, 24)).astype(np.float32)
    without.add({"features": random}, golden.run_all({"features": random}))
    assert {"saturates low", "saturates high"} & set(without.nodes["quant"].missing)
    covered = GraphCoverage(graph)
    for inputs in format_vectors(graph):
        covered.add(inputs, golden.run_all(inputs))
    assert list(covered.missing()) == []
    assert covered.nodes["result"].range_share > 0.9


def test_vectors_are_reproducible() -> None:
    graph = chain([[3, -5, 7]], FixedPoint(signed=True, width=6, integer=6, rounding="RND_CONV"))
    first, second = format_vectors(graph, seed=4), format_vectors(graph, seed=4)
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one["features"], other["features"])
