"""FixedPoint against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import GraphError
from hitfabric.quantization import FixedPoint


@st.composite
def formats(draw: st.DrawFn) -> FixedPoint:
    signed = draw(st.booleans())
    width = draw(st.integers(2, 20))
    overflow = draw(st.sampled_from(["SAT", "WRAP", *(["SAT_SYM"] if signed else [])]))
    rounding = draw(st.sampled_from(["TRN", "RND_CONV"]))
    integer = draw(st.integers(-6, 26))
    return FixedPoint(signed=signed, width=width, integer=integer, rounding=rounding, overflow=overflow)


def exact(form: FixedPoint, value: Fraction) -> int:
    scaled = value * Fraction(2) ** form.fraction
    integer = math.floor(scaled) if form.rounding == "TRN" else round(scaled)  # round() of a Fraction is half to even
    if form.overflow == "WRAP":
        return (integer - form.low) % (1 << form.width) + form.low
    return min(max(integer, form.low), form.high)


@given(form=formats(), value=st.floats(-1e6, 1e6, width=32))
def test_quantize_is_exact(form: FixedPoint, value: float) -> None:
    assert form.quantize(np.array([value]))[0] == exact(form, Fraction(value))


@given(form=formats(), integer=st.integers(-(2**30), 2**30), fraction=st.integers(-4, 24))
def test_requantize_is_exact(form: FixedPoint, integer: int, fraction: int) -> None:
    expected = exact(form, Fraction(integer) / Fraction(2) ** fraction)
    assert form.requantize(np.array([integer]), fraction=fraction)[0] == expected


@given(form=formats())
def test_every_integer_survives_the_round_trip(form: FixedPoint) -> None:
    integers = np.unique(np.linspace(form.low, form.high, 50).astype(np.int64))
    assert np.array_equal(form.quantize(form.to_float(integers)), integers)


@given(low=st.integers(-(2**40), 2**40), span=st.integers(0, 2**40), fraction=st.integers(-8, 20))
def test_covering_is_the_narrowest(low: int, span: int, fraction: int) -> None:
    form = FixedPoint.covering(low, low + span, fraction=fraction)
    assert form.low <= low
    assert low + span <= form.high
    if form.width > 1:
        narrower = FixedPoint(signed=form.signed, width=form.width - 1, integer=0, overflow="WRAP")
        assert low < narrower.low or low + span > narrower.high


def test_ap_type_is_the_vendor_name() -> None:
    assert FixedPoint(signed=True, width=8, integer=3).ap_type == "ap_fixed<8,3,AP_TRN,AP_SAT>"
    assert (
        FixedPoint(signed=False, width=6, integer=0, rounding="RND_CONV").ap_type == "ap_ufixed<6,0,AP_RND_CONV,AP_SAT>"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_refused(bad: float) -> None:
    with pytest.raises(GraphError, match="NaN or infinite"):
        FixedPoint(signed=True, width=8, integer=3).quantize(np.array([0.0, bad]))


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"width": 0}, "width of 0"), ({"width": 63}, "63"), ({"rounding": "UP"}, "UP"), ({"overflow": "X"}, "'X'")],
)
def test_bad_formats_are_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(GraphError, match=named):
        FixedPoint(**{"signed": True, "width": 8, "integer": 3, **changes})  # type: ignore[arg-type]
