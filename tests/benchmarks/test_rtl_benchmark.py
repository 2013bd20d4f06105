"""Rows of the RTL benchmark: targets met and missed, and figures that there are not."""

from __future__ import annotations

import numpy as np
import pytest
from rtl_cases import drawn_graphs
from rtl_rows import ELABD, HIGTR, RtlRow, cycles_row, percentile95


def row(value: float | None, *, target: float | None = 240, unit: str = "cycles") -> RtlRow:
    return RtlRow(workload="some", quantity="latency", value=value, unit=unit, kind="simulated", target=target)


@pytest.mark.parametrize(
    ("value", "target", "met", "shown"), [(240, 240, True, "yes"), (241, 240, False, "NO"), (1, None, None, "")]
)
def test_a_target_is_met_or_not(value: float, target: float | None, met: bool | None, shown: str) -> None:
    found = row(value, target=target)
    assert found.met is met
    assert found.met_shown == shown
    assert found.as_json()["met"] is met


def test_cycles_are_shown_with_their_time_at_the_assumed_clock() -> None:
    assert row(472).shown == "472 cycles (2.36 us)"
    assert row(60_000, unit="").shown == "60,000"


def test_a_row_of_cycles_is_simulated() -> None:
    made = cycles_row("some", "latency", percentile95([1, 2, 240]), 240)
    assert made == row(240)
    assert percentile95(list(range(1, 101))) == 95, "a value that occurred"


def test_a_figure_that_there_is_not_meets_nothing() -> None:
    found = row(None)
    assert found.shown == "-"
    assert found.met is None
    assert found.met_shown == ""


def test_references_say_where_they_are_from() -> None:
    assert "2.36 us" in HIGTR
    assert "recalled, not verified" in ELABD


def test_drawn_graphs_have_the_size_asked_for() -> None:
    graphs = drawn_graphs(3, nodes=28, edges=56)
    assert [(item["nodes"].shape, item["edges"].shape) for item in graphs] == [((28, 3), (56, 4))] * 3
    assert all(item["edge_index"].max() < 28 for item in graphs)
    assert not np.array_equal(graphs[0]["edge_index"], graphs[1]["edge_index"])
