"""Intervals, track selection, and figures of empty or extreme records."""

from __future__ import annotations

import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, poisson

from hitfabric.reports.canvas import figure, power_of_ten, to_svg
from hitfabric.reports.counts import Rate, Ratio
from hitfabric.reports.evaluation_record import EdgeStage, NetworkScores, TrackPerformance
from hitfabric.reports.event_record import EventDisplay
from hitfabric.reports.figures_event import draw_event, select_tracks
from hitfabric.reports.figures_physics import draw_construction, draw_edge_stages, draw_roc, draw_scores
from hitfabric.reports.figures_run import draw_latency, draw_seconds
from hitfabric.reports.figures_tracks import draw_tracks
from hitfabric.reports.headlines import milliseconds
from hitfabric.reports.physics_tables import percent, track_rows
from hitfabric.reports.records import LatencySeries
from hitfabric.reports.statistics import LEVEL, percentile_ms, rates, shares


@given(st.integers(0, 400), st.integers(0, 400))
def test_shares_have_scipys_exact_interval(passed: int, rest: int) -> None:
    (centre,), (low,), (high,) = shares([passed], [passed + rest])
    if passed + rest == 0:
        assert np.isnan([centre, low, high]).all()
        return
    exact = binomtest(passed, passed + rest).proportion_ci(LEVEL, method="exact")
    assert 0.0 <= low <= centre <= high <= 1.0
    np.testing.assert_allclose([low, high], [exact.low, exact.high], rtol=1e-6, atol=1e-9)


@given(st.lists(st.floats(0, 1e6), max_size=300), st.sampled_from([50, 95, 99]))
def test_percentile_is_a_sample_that_covers_its_share(samples: list[float], percent: int) -> None:
    value = percentile_ms(samples, percent)
    if len(samples) * (100 - percent) < 100:
        assert value is None
        return
    assert value in samples
    assert 100 * sum(sample <= value for sample in samples) >= percent * len(samples)
    assert 100 * sum(sample < value for sample in samples) < percent * len(samples)


def test_percent_names_its_interval() -> None:
    assert percent(Ratio(passed=0, total=0)) == "–"
    assert percent(Ratio(passed=4650, total=5000)) == "93.0 (+0.4 −0.4) %"
    assert percent(Ratio(passed=10, total=10)).startswith("100.0 (+0.0 −")
    assert percent(Rate(passed=30, total=10)).startswith("300.0 (+")


def test_partial_truth_has_rows_of_its_own() -> None:
    ratio = {"passed": 1, "total": 4}
    values = {"definition": "d", "efficiency": ratio, "fake_rate": ratio, "duplicate_rate": ratio}
    known = track_rows(TrackPerformance.model_validate(values))
    assert [label for label, *_ in known] == ["track efficiency", "fake rate", "duplicate rate"]
    bounds = {"fake_rate_low": {"passed": 1, "total": 9}, "fake_rate_high": {"passed": 5, "total": 9}}
    partial = track_rows(TrackPerformance.model_validate(values | bounds | {"tracks_unknown": 5}))
    assert partial[:3] == known
    assert [label for label, *_ in partial[3:]] == [
        "fake rate, at least",
        "fake rate, at most",
        "tracks that cannot be judged",
    ]
    assert partial[-1][2].startswith("5 of 9 tracks")


@given(st.integers(0, 500), st.integers(1, 500))
def test_rates_have_the_interval_that_defines_them(count: int, per: int) -> None:
    (centre,), (low,), (high,) = rates([count], [per])
    tail = (1 - LEVEL) / 2
    assert centre == count / per
    np.testing.assert_allclose(poisson.cdf(count, high * per), tail, rtol=1e-6)
    if count:
        np.testing.assert_allclose(poisson.sf(count - 1, low * per), tail, rtol=1e-6)
    else:
        assert low == 0.0
    assert np.isnan(rates([count], [0])).all()


@pytest.mark.parametrize(("value", "shown"), [(0.4123, "0.412"), (4.0, "4.00"), (20.0, "20.0"), (4123.4, "4,123")])
def test_latencies_keep_three_digits(value: float, shown: str) -> None:
    assert milliseconds(value) == shown


def event(labels: list[int], particles: list[int], pt: list[float]) -> EventDisplay:
    """Hits one behind the other on the x axis, in reverse order."""
    x = np.arange(len(labels), 0, -1, dtype=np.float64) * 30.0
    zeros = np.zeros(len(labels))
    return EventDisplay(
        x=x, y=zeros, z=zeros, r=x, labels=np.array(labels), particle_id=np.array(particles), pt=np.array(pt)
    )


def test_tracks_are_matched_and_ordered_outwards() -> None:
    # Particle 1: found. 2: its hits are the most, yet not half, of a track. 3: below 1 GeV. 0: no particle.
    particles = [1, 1, 1, 2, 2, 2, 4, 4, 5, 5, 3, 3, 3, 0, 0, 0]
    labels = [7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 8, 8, 8, 9, 9, 9]
    pt = [2.0] * 10 + [0.5] * 3 + [np.nan] * 3
    tracks = select_tracks(event(labels, particles, pt))
    assert tracks.truth_found == [True, False]
    assert tracks.found_matched == [False, True]
    assert [hits.tolist() for hits in tracks.truth] == [[2, 1, 0], [5, 4, 3]]
    assert [hits.tolist() for hits in tracks.found] == [[9, 8, 7, 6, 5, 4, 3], [2, 1, 0]]


def test_half_of_the_hits_is_enough_and_a_split_particle_is_found_once() -> None:
    tracks = select_tracks(event([1, 1, 1, 1, 2, 2, 2], [1, 1, 2, 3, 1, 1, 1], [2.0] * 7))
    assert tracks.found_matched == [True, True]
    assert tracks.truth_found == [True]


def test_unlabelled_and_short_tracks_are_not_drawn() -> None:
    tracks = select_tracks(event([-1, -1, -1, 4, 4], [1, 1, 1, 2, 2], [3.0] * 5))
    assert tracks.found == []
    assert tracks.truth_found == [False]


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), max_size=40))
def test_no_particle_is_matched_without_a_matched_track(pairs: list[tuple[int, int]]) -> None:
    tracks = select_tracks(event([a for a, _ in pairs], [b for _, b in pairs], [2.0] * len(pairs)))
    assert sum(tracks.truth_found) <= sum(tracks.found_matched)
    assert any(tracks.truth_found) == any(tracks.found_matched)
    drawn = [hit for hits in tracks.truth for hit in hits]
    assert len(set(drawn)) == len(drawn)


EMPTY_TRACKS = {
    "definition": "none",
    "efficiency": {"passed": 0, "total": 0},
    "fake_rate": {"passed": 0, "total": 0},
    "duplicate_rate": {"passed": 0, "total": 0},
    "binned": {
        "pt": {
            "efficiency": {"edges": [0.0, 1.0], "passed": [0], "total": [0]},
            "purity": {"edges": [0.0, 1.0], "total": [0], "value": [None], "low": [None], "high": [None]},
        },
        "vertex_radius": {"duplicate_rate": {"edges": [0.0, 1.0], "passed": [0], "total": [0]}},
    },
    "purity": {"edges": [0.0, 1.0], "tracks": [0], "mean": None, "error": None},
}
EMPTY_STAGE = {
    "name": "filter",
    "target": 0,
    "kept": 0,
    "edges": 0,
    "hits": 0,
    "binned": {"pt": {"edges": [0.0, 1.0], "passed": [0], "total": [0]}},
    "curve": {"quantity": "logit", "cut": [0.0], "edges": [0], "kept": [0], "target": 0, "hits": 0},
}
EMPTY_SCORES = {
    "true": 0,
    "false": 0,
    "threshold": 0.0,
    "roc": {"threshold": [], "efficiency": [], "false_positive_rate": [], "purity": [], "auc": None},
    "scores": {"quantity": "logit", "edges": [0.0, 1.0], "true": [0], "false": [0]},
}


def test_empty_records_are_drawn_without_warnings() -> None:
    empty = event([], [], [])
    networks = {"filter": NetworkScores.model_validate(EMPTY_SCORES)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = [
            draw_event(empty, select_tracks(empty)),
            draw_tracks(TrackPerformance.model_validate(EMPTY_TRACKS), ("pt", "vertex_radius"), name="tracks"),
            draw_edge_stages((EdgeStage.model_validate(EMPTY_STAGE),)),
            draw_construction((EdgeStage.model_validate(EMPTY_STAGE),)),
            draw_roc(networks),
            draw_scores(networks),
            draw_latency([LatencySeries(model="filter", engine="triton", samples_ms=())]),
            draw_latency([LatencySeries(model="filter", engine="triton", samples_ms=(2.0,))]),
            draw_latency([LatencySeries(model="filter", engine="triton", samples_ms=(1.0, 900.0))]),
            draw_seconds({"train": 0.0}),
        ]
    for svg in drawn:
        assert svg is not None
        assert ElementTree.fromstring(svg).tag == "svg"
    assert draw_roc({}) is None
    assert draw_scores({}) is None
    assert draw_construction((EdgeStage(name="filter", target=0, kept=0, edges=0, hits=0),)) is None
    assert draw_tracks(TrackPerformance.model_validate(EMPTY_TRACKS), ("eta",), name="tracks") is None


def test_description_is_escaped_and_ids_are_prefixed() -> None:
    with figure(2, 2) as drawn:
        drawn.subplots().plot([0, 1], [0, 1], label="a & <b>")
        root = ElementTree.fromstring(to_svg(drawn, name="sample", description='"quoted" <&>'))
    assert root.get("aria-label") == '"quoted" <&>'
    identifiers = [element.get("id", "sample-") for element in root.iter()]
    assert all(identifier.startswith("sample-") for identifier in identifiers)


@pytest.mark.parametrize(("value", "label"), [(1e-3, "10⁻³"), (1.0, "10⁰"), (1e12, "10¹²"), (20.0, ""), (0.0, "")])
def test_tick_labels_of_powers(value: float, label: str) -> None:
    assert power_of_ten(value, 0) == label
