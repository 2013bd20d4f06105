"""Intervals, track selection, and figures of empty or extreme records."""

from __future__ import annotations

import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from hitfabric.reports.canvas import figure, power_of_ten, to_svg
from hitfabric.reports.event_record import EventDisplay
from hitfabric.reports.figures_event import draw_event, select_tracks
from hitfabric.reports.figures_physics import draw_edge_stages, draw_roc, draw_scores, draw_tracks
from hitfabric.reports.figures_run import draw_latency, draw_seconds
from hitfabric.reports.headlines import percent
from hitfabric.reports.records import EdgeStage, LatencySeries, NetworkScores, Ratio, TrackPerformance
from hitfabric.reports.statistics import ONE_SIGMA, clopper_pearson, percentile_ms


@given(st.integers(0, 400), st.integers(0, 400))
def test_clopper_pearson_is_scipys_exact_interval(passed: int, rest: int) -> None:
    (centre,), (low,), (high,) = clopper_pearson([passed], [passed + rest])
    if passed + rest == 0:
        assert np.isnan([centre, low, high]).all()
        return
    exact = binomtest(passed, passed + rest).proportion_ci(ONE_SIGMA, method="exact")
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


def event(labels: list[int], particles: list[int], pt: list[float]) -> EventDisplay:
    """Hits one behind the other on the x axis, in reverse order."""
    x = np.arange(len(labels), 0, -1, dtype=np.float64) * 30.0
    zeros = np.zeros(len(labels))
    return EventDisplay(
        x=x, y=zeros, z=zeros, r=x, labels=np.array(labels), particle_id=np.array(particles), pt=np.array(pt)
    )


def test_tracks_are_matched_both_ways_and_ordered_outwards() -> None:
    # Particle 1: found. Particle 2: split into two tracks, no majority of it. Particle 3: below 1 GeV. 0: no particle.
    particles = [1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 0, 0, 0]
    labels = [5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9]
    pt = [2.0] * 9 + [0.5] * 3 + [np.nan] * 3
    tracks = select_tracks(event(labels, particles, pt))
    assert tracks.truth_found == [True, False]
    assert tracks.found_matched == [True, False, False]
    assert [hits.tolist() for hits in tracks.truth] == [[2, 1, 0], [8, 7, 6, 5, 4, 3]]
    assert [hits.tolist() for hits in tracks.found] == [[2, 1, 0], [5, 4, 3], [8, 7, 6]]


def test_unlabelled_and_short_tracks_are_not_drawn() -> None:
    tracks = select_tracks(event([-1, -1, -1, 4, 4], [1, 1, 1, 2, 2], [3.0] * 5))
    assert tracks.found == []
    assert tracks.truth_found == [False]


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), max_size=40))
def test_no_particle_is_matched_without_a_matched_track(pairs: list[tuple[int, int]]) -> None:
    tracks = select_tracks(event([a for a, _ in pairs], [b for _, b in pairs], [2.0] * len(pairs)))
    # Both majorities are strict, so that matching is one to one.
    assert sum(tracks.truth_found) == sum(tracks.found_matched)
    drawn = [hit for hits in tracks.truth for hit in hits]
    assert len(set(drawn)) == len(drawn)


EMPTY_TRACKS = {
    "definition": "none",
    "efficiency": {"passed": 0, "total": 0},
    "fake_rate": {"passed": 0, "total": 0},
    "duplicate_rate": {"passed": 0, "total": 0},
    "pt": {"efficiency": {"edges": [0.0, 1.0], "passed": [0], "total": [0]}},
    "eta": None,
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
            draw_tracks(TrackPerformance.model_validate(EMPTY_TRACKS)),
            draw_edge_stages((EdgeStage(name="filter", target=0, kept=0, edges=0, hits=0),)),
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
