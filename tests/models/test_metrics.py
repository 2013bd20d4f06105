"""Metrics of edges and intervals against answers worked out by hand, and against independent implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.models.metrics import (
    DEFAULT_BINS,
    VARIABLES,
    Binning,
    clopper_pearson,
    clopper_pearson_bounds,
    combine_true_edges,
    edge_efficiency_purity,
    find_true_edges,
    primary_vertices,
    roc_auc,
    roc_auc_error,
    roc_curve,
)
from support.hand_event import hand_event


def test_auc_of_known_scores() -> None:
    labels = np.array([True, False, True, False])
    assert roc_auc(np.array([4.0, 3.0, 2.0, 1.0]), labels) == 0.75
    assert roc_auc(np.array([1.0, 0.0, 1.0, 0.0]), labels) == 1.0
    assert roc_auc(np.zeros(4), labels) == 0.5
    assert math.isnan(roc_auc(np.zeros(2), np.array([True, True])))


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60))
def test_auc_counts_pairs_and_equals_the_area_under_the_curve(rows: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([row[0] for row in rows], dtype=float), np.array([row[1] for row in rows])
    signal, background = scores[labels], scores[~labels]
    if not len(signal) or not len(background):
        assert math.isnan(roc_auc(scores, labels))
        return
    pairs = (signal[:, None] > background) + 0.5 * (signal[:, None] == background)
    assert roc_auc(scores, labels) == pytest.approx(pairs.mean(), abs=1e-12)
    false_rate, true_rate, thresholds = roc_curve(scores, labels)
    assert (false_rate[0], true_rate[0], false_rate[-1], true_rate[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true_rate, false_rate) == pytest.approx(pairs.mean(), abs=1e-12)
    for point in range(1, len(thresholds)):
        assert true_rate[point] == (signal >= thresholds[point]).mean()
        assert false_rate[point] == (background >= thresholds[point]).mean()


def test_edge_efficiency_and_purity() -> None:
    kept = np.array([True, True, False, True])
    labels = np.array([True, False, True, True])
    assert edge_efficiency_purity(kept, labels) == (2 / 3, 2 / 3)
    assert edge_efficiency_purity(kept, labels, true_edges=4) == (0.5, 2 / 3)
    efficiency, purity = edge_efficiency_purity(np.zeros(2, dtype=bool), np.zeros(2, dtype=bool))
    assert math.isnan(efficiency) and math.isnan(purity)


@given(st.integers(1, 200), st.data())
def test_clopper_pearson_inverts_the_binomial(total: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, total))
    low, high = clopper_pearson(passed, total, level=0.9)
    assert 0 <= low <= passed / total <= high <= 1
    if passed:
        assert binom.sf(passed - 1, total, low) == pytest.approx(0.05, rel=1e-6)
    if passed < total:
        assert binom.cdf(passed, total, high) == pytest.approx(0.05, rel=1e-6)


def test_clopper_pearson_edges() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert clopper_pearson(10, 10, level=0.95) == (pytest.approx(0.025 ** (1 / 10)), 1.0)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=30))
def test_many_intervals_are_those_of_the_beta_distribution(pairs: list[tuple[int, int]]) -> None:
    passed = np.array([good for good, _ in pairs], dtype=int)
    total = passed + np.array([rest for _, rest in pairs], dtype=int)
    low, high = clopper_pearson_bounds(passed, total)
    tail = (1 - 0.6827) / 2
    for place, (good, tried) in enumerate(zip(passed.tolist(), total.tolist(), strict=True)):
        expected_low = beta.ppf(tail, good, tried - good + 1) if good else 0.0
        expected_high = beta.ppf(1 - tail, good + 1, tried - good) if good < tried else 1.0
        assert (low[place], high[place]) == pytest.approx((expected_low, expected_high), rel=1e-9, abs=1e-12)
        assert (low[place], high[place]) == clopper_pearson(good, tried)


@pytest.mark.parametrize(("passed", "total"), [(2, 1), (-1, 1)])
def test_impossible_counts_are_refused(passed: int, total: int) -> None:
    with pytest.raises(DataError, match="0 <= passed <= total"):
        clopper_pearson(passed, total)


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=4, max_size=60))
def test_error_of_the_auc_is_delongs(rows: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([row[0] for row in rows], dtype=float), np.array([row[1] for row in rows])
    signal, background = scores[labels], scores[~labels]
    if min(len(signal), len(background)) < 2:
        assert math.isnan(roc_auc_error(scores, labels))
        return
    # The definition: how often each edge wins against the other kind, and how much that varies.
    wins = (signal[:, None] > background) + 0.5 * (signal[:, None] == background)
    variance = wins.mean(axis=1).var(ddof=1) / len(signal) + wins.mean(axis=0).var(ddof=1) / len(background)
    assert roc_auc_error(scores, labels) == pytest.approx(math.sqrt(variance), abs=1e-9)


def test_true_edges_are_counted_by_their_particle() -> None:
    # particle   1  1  1  2  2     edges 0-1, 1-2 of particle 1 (1 GeV), 3-4 of particle 2 (8 GeV, z0 = 30 mm)
    event = hand_event([1, 1, 1, 2, 2], {1: 1.0, 2: 8.0}, vertex={2: (0.0, 0.0, 30.0)}, pile_up=7)
    truth = np.array([[0, 1], [1, 2], [3, 4]])
    graph = np.array([[1, 0], [3, 4], [0, 2], [2, 3]])  # the first against its direction, the last two false
    found = find_true_edges(event, truth, graph)
    assert found.kept.tolist() == [True, False, True]
    assert found.efficiency == 2 / 3
    assert [(item.found, item.total) for item in found.efficiency_in("pt", [0.5, 2.0, 10.0])] == [(1, 2), (1, 1)]
    assert [(item.found, item.total) for item in found.efficiency_in("z0", [-5.0, 5.0, 50.0])] == [(1, 2), (1, 1)]
    both = combine_true_edges([found, find_true_edges(event, truth, np.zeros((0, 2), dtype=np.int64))])
    assert (int(both.kept.sum()), len(both.kept)) == (2, 6)
    assert {name: len(values) for name, values in both.values.items()} == dict.fromkeys(VARIABLES, 6)
    assert math.isnan(combine_true_edges([]).efficiency)
    with pytest.raises(DataError, match="not within one particle"):
        find_true_edges(event, np.array([[2, 3]]), graph)


def test_bins_of_the_configuration() -> None:
    assert load_config(Binning, overrides={"pt": [1.0, 2.0]}).pt == (1.0, 2.0)
    assert DEFAULT_BINS.phi[-1] >= np.float32(np.pi)  # an azimuth of pi is in a bin
    for wrong in ([1.0], [2.0, 1.0], [1.0, 1.0], [0.0, math.inf], [0.0, math.nan]):
        with pytest.raises(ConfigError):
            load_config(Binning, overrides={"eta": wrong})


def test_primary_vertices_are_given_or_counted() -> None:
    near, far = (0.01, 0.0, 5.0), (0.01, 0.0, 6.0)
    #                     a vertex of three                a vertex of two           three particles 2 mm off the beam
    vertex = {1: near, 2: near, 3: near, 4: far, 5: far, **dict.fromkeys((6, 7, 8), (2.0, 0.0, 5.0))}
    event = hand_event([1], dict.fromkeys(vertex, 1.0), vertex=vertex)
    assert primary_vertices(event) == (1, False)
    assert primary_vertices(hand_event([1], dict.fromkeys(vertex, 1.0), vertex=vertex, pile_up=31)) == (31, True)
    assert primary_vertices(hand_event([0], {})) == (0, False)
