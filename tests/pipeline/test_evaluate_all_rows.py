"""Cells, conditions and rows of the table of targets: what is missing is said and never counts as reached."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.pipeline.evaluate_all_rows import DOES_NOT_APPLY, Cell, Condition, Figure, Row


@given(total=st.integers(1, 10_000), share=st.floats(0, 1))
def test_a_share_lies_in_its_interval(total: int, share: float) -> None:
    figure = Figure.share(round(share * total), total)
    assert figure.value is not None and figure.low is not None and figure.high is not None
    assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_nothing_of_nothing_is_no_number() -> None:
    figure = Figure.share(0, 0)
    assert figure.value is None and str(figure) == "-"
    assert Figure.number(math.nan) == Figure(value=None)


def test_the_area_of_known_scores() -> None:
    labels = np.array([True, True, False, False, False])
    figure = Figure.auc(np.array([0.9, 0.6, 0.7, 0.1, 0.0]), labels)
    assert figure.value == 5 / 6
    assert figure.low is not None and figure.low < 5 / 6
    assert Figure.auc(np.array([0.3, 0.2]), np.array([True, True])).value is None


def test_an_empty_cell_has_no_figures() -> None:
    cell = Cell(missing="not shipped: event-full")
    assert str(cell) == "-" and math.isnan(cell.value("efficiency"))
    assert str(Cell(missing=DOES_NOT_APPLY)) == "n/a"


def test_a_cell_shows_what_matters() -> None:
    cell = Cell(
        figures={"efficiency": Figure.number(0.5), "edges_per_hit": Figure.number(2), "purity": Figure.number(1)}
    )
    assert str(cell) == "0.5, at 2 edges per hit"


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (Figure(value=0.95, low=0.947, high=0.953), "0.950 ± 0.003"),
        (Figure(value=0.999, low=0.9985, high=0.9993), "0.9990 +0.0003 -0.0005"),
        (Figure(value=0.99981, low=0.99979, high=0.99983), "0.99981 ± 0.00002"),
        (Figure(value=4.8861), "4.886"),
    ],
)
def test_figures_are_rounded_to_their_errors(figure: Figure, shown: str) -> None:
    assert str(figure) == shown


@given(value=st.floats(allow_nan=True, allow_infinity=False), limit=st.floats(-1e6, 1e6))
def test_conditions(value: float, limit: float) -> None:
    least, most = Condition.at_least("x", value, limit), Condition.at_most("x", value, limit)
    assert (least.met, most.met) == (value >= limit, value <= limit)
    assert least.value == most.value == (None if math.isnan(value) else value)


def test_a_row_is_met_where_every_condition_is() -> None:
    good, bad = Condition.at_least("x", 1.0, 0.0), Condition.at_least("y", math.nan, 0.0)

    def target(*conditions: Condition) -> bool | None:
        return Row.judged("row", "x", validation={}, test={}, conditions=conditions).target

    assert target(good) is True
    assert target(good, bad) is False
    assert target() is None
