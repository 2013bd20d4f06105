"""FixedPoint against exact rational arithmetic, over every width, shift and integer that the types admit."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.quantization import FixedPoint
from support.exact import exact_integer

INT64 = st.integers(-(2**63), 2**63 - 1)
EDGES = st.sampled_from([0, 1, -1, 2**52 + 1, 2**61, 2**62 - 1, 2**62, -(2**62) - 1, 2**63 - 1, -(2**63), -(2**63) + 1])


@st.composite
def formats(draw: st.DrawFn, *, widest: int = 62) -> FixedPoint:
    signed = draw(st.booleans())
    width = draw(st.integers(1, widest))
    overflow = draw(st.sampled_from(["SAT", "WRAP", *(["SAT_SYM"] if signed and width > 1 else [])]))
    rounding = draw(st.sampled_from(["TRN", "RND_CONV"]))
    fraction = draw(st.one_of(st.integers(-124, 124), st.integers(-8, 24)))
    return FixedPoint(signed=signed, width=width, integer=width - fraction, rounding=rounding, overflow=overflow)


@given(form=formats(), value=st.floats(allow_nan=False, allow_infinity=False))
@example(form=FixedPoint(signed=True, width=62, integer=62), value=1e300)
@example(form=FixedPoint(signed=True, width=8, integer=132), value=-5e-324)
@example(form=FixedPoint(signed=True, width=20, integer=-104, overflow="WRAP"), value=1e308)
@example(form=FixedPoint(signed=False, width=20, integer=20, overflow="WRAP"), value=2.0**62 + 2.0**12)
def test_quantize_is_exact(form: FixedPoint, value: float) -> None:
    assert form.quantize(np.array([value]))[0] == exact_integer(form, Fraction(value))


@given(form=formats(), value=st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_quantize_is_exact_for_float32(form: FixedPoint, value: float) -> None:
    assert form.quantize(np.array([value], dtype=np.float32))[0] == exact_integer(form, Fraction(value))


@given(form=formats(widest=40), step=st.integers(-(2**41), 2**41), distance=st.sampled_from([-1, 0, 1]))
def test_ties_and_their_neighbours_are_exact(form: FixedPoint, step: int, distance: int) -> None:
    tie = Fraction(2 * step + 1, 2) / Fraction(2) ** form.fraction
    value = np.nextafter(float(tie), distance * math.inf) if distance else float(tie)
    assert form.quantize(np.array([value]))[0] == exact_integer(form, Fraction(float(value)))


@given(form=formats(), integer=st.one_of(INT64, EDGES, st.integers(-99, 99)), fraction=st.integers(-260, 260))
@example(form=FixedPoint(signed=True, width=62, integer=62, rounding="RND_CONV"), integer=2**62 + 1, fraction=64)
@example(form=FixedPoint(signed=True, width=8, integer=-116), integer=1, fraction=-124)
def test_requantize_is_exact(form: FixedPoint, integer: int, fraction: int) -> None:
    expected = exact_integer(form, Fraction(integer) / Fraction(2) ** fraction)
    assert form.requantize(np.array([integer], dtype=np.int64), fraction=fraction)[0] == expected
    assert form.requantize_exact(integer, fraction=fraction) == expected


@given(form=formats(), integer=st.integers(-(2**300), 2**300), fraction=st.integers(-260, 400))
def test_integers_of_any_size_requantize_exactly(form: FixedPoint, integer: int, fraction: int) -> None:
    assert form.requantize_exact(integer, fraction=fraction) == exact_integer(form, integer / Fraction(2) ** fraction)


@given(form=formats(), integer=INT64)
def test_integers_quantize_as_values(form: FixedPoint, integer: int) -> None:
    assert form.quantize(np.array([integer], dtype=np.int64))[0] == exact_integer(form, Fraction(integer))


@given(form=formats(widest=53))
def test_every_integer_survives_the_round_trip(form: FixedPoint) -> None:
    integers = np.unique(np.linspace(form.low, form.high, 50).astype(np.int64))
    assert np.array_equal(form.quantize(form.to_float(integers)), integers)


@given(low=st.integers(-(2**60), 2**60), span=st.integers(0, 2**60), fraction=st.integers(-62, 62))
def test_covering_is_the_narrowest(low: int, span: int, fraction: int) -> None:
    form = FixedPoint.covering(low, low + span, fraction=fraction)
    assert form.low <= low
    assert low + span <= form.high
    if form.width > 1:
        narrower = FixedPoint(signed=form.signed, width=form.width - 1, integer=0, overflow="WRAP")
        assert low < narrower.low or low + span > narrower.high


@pytest.mark.parametrize(("low", "high"), [(0, 2**62), (-(2**61) - 1, 0), (-1, 2**61)])
def test_covering_more_than_62_bits_is_refused(low: int, high: int) -> None:
    with pytest.raises(GraphError, match="a width of 63 bits"):
        FixedPoint.covering(low, high, fraction=0)


def test_ap_type_is_the_vendor_name() -> None:
    assert FixedPoint(signed=True, width=8, integer=3).ap_type == "ap_fixed<8,3,AP_TRN,AP_SAT>"
    assert (
        FixedPoint(signed=False, width=6, integer=0, rounding="RND_CONV").ap_type == "ap_ufixed<6,0,AP_RND_CONV,AP_SAT>"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_refused(bad: float) -> None:
    with pytest.raises(GraphError, match="NaN or infinite"):
        FixedPoint(signed=True, width=8, integer=3).quantize(np.array([0.0, bad]))


@pytest.mark.parametrize("values", [np.array(["1"]), np.array([1j]), np.array([2**70]), np.array([1], dtype="g")])
def test_dtypes_that_lose_bits_are_refused(values: np.ndarray) -> None:
    form = FixedPoint(signed=True, width=8, integer=3)
    with pytest.raises(GraphError, match="dtype"):
        form.quantize(values)
    with pytest.raises(GraphError, match="dtype"):
        form.requantize(values, fraction=0)


def test_unsigned_integers_beyond_int64_are_refused() -> None:
    form = FixedPoint(signed=False, width=62, integer=62)
    assert form.requantize(np.array([2**63 - 1], dtype=np.uint64), fraction=0).tolist() == [form.high]
    with pytest.raises(GraphError, match="beyond int64"):
        form.requantize(np.array([2**63], dtype=np.uint64), fraction=0)


def test_numpy_widths_make_no_numpy_bounds() -> None:
    form = FixedPoint(signed=np.True_, width=np.int64(62), integer=np.int8(3))  # type: ignore[arg-type] - converted
    assert type(form.high) is int
    assert form == FixedPoint(signed=True, width=62, integer=3)
    assert 4 * form.high == 2**63 - 4


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 0}, "width of 0"),
        ({"width": 63}, "63"),
        ({"width": 8.0}, "width of a format is 8.0"),
        ({"integer": "3"}, "integer of a format is '3'"),
        ({"integer": 200}, "-192 fractional bits"),
        ({"signed": 2}, "signed is 2"),
        ({"rounding": "UP"}, "UP"),
        ({"overflow": "X"}, "'X'"),
        ({"signed": False, "overflow": "SAT_SYM"}, "SAT_SYM needs"),
    ],
)
def test_bad_formats_are_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(GraphError, match=named):
        FixedPoint(**{"signed": True, "width": 8, "integer": 3, **changes})  # type: ignore[arg-type]
