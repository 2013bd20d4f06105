"""Metrics against answers worked out by hand, and against independent implementations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.detector import Event, Particles
from hitfabric.models.metrics import (
    Fiducial,
    clopper_pearson,
    combine,
    edge_efficiency_purity,
    match_tracks,
    roc_auc,
    roc_curve,
)


def make_event(particle_id: list[int], pt: dict[int, float], eta: dict[int, float] | None = None) -> Event:
    """Event whose hits belong to the given particles; particle 0 is noise."""
    ids = np.array(sorted(pt), dtype=np.int64)
    zeros = np.zeros(len(ids), dtype=np.float32)
    momentum = np.array([pt[i] for i in ids.tolist()], dtype=np.float32)
    slopes = np.sinh([(eta or {}).get(i, 0.0) for i in ids.tolist()])
    particles = Particles(
        particle_id=ids,
        vx=zeros,
        vy=zeros,
        vz=zeros,
        px=momentum,
        py=zeros,
        pz=(momentum * slopes).astype(np.float32),
        q=np.ones(len(ids), dtype=np.int32),
        nhits=np.array([particle_id.count(i) for i in ids.tolist()], dtype=np.int32),
    )
    count = len(particle_id)
    numbers = np.arange(count)
    return Event(
        name="made",
        hit_id=numbers + 1,
        x=(30.0 + numbers).astype(np.float32),
        y=np.zeros(count, dtype=np.float32),
        z=np.zeros(count, dtype=np.float32),
        volume_id=np.full(count, 8, dtype=np.int32),
        layer_id=numbers.astype(np.int32),
        module_id=np.zeros(count, dtype=np.int32),
        particle_id=np.array(particle_id, dtype=np.int64),
        particles=particles,
    )


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


def test_matching_worked_out_by_hand() -> None:
    # Particle 1: found twice. 2: below the pT cut, found. 3: too few hits. 4: lost, its hits are in an impure track.
    particle_id = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 0, 0, 0]
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, -1, -1, 4, 4, 4]
    event = make_event(particle_id, {1: 2.0, 2: 0.5, 3: 3.0, 4: 5.0})
    matching = match_tracks(event, np.array(labels))
    assert matching.tracks == 5  # 0, 1, 2, 3, 4
    assert matching.matched == 4  # all but 4, of which two hits in five are of particle 4
    assert matching.matched_reconstructable == 2  # 0 and 1
    assert matching.pt.tolist() == [2.0, 5.0]
    assert matching.found.tolist() == [True, False]
    assert matching.efficiency == 0.5
    assert matching.fake_rate == pytest.approx(1 / 5)
    assert matching.duplicate_rate == 1.0


def test_short_tracks_and_exactly_half_pure_tracks() -> None:
    event = make_event([1, 1, 1, 1, 2, 2, 2, 2], {1: 2.0, 2: 2.0})
    half = match_tracks(event, np.array([0, 0, -1, -1, 0, 0, 1, 1]))
    assert (half.tracks, half.matched) == (1, 1)  # the track of two hits is not counted; half of the hits is enough
    strict = match_tracks(event, np.array([0, 0, -1, -1, 0, 0, 1, 1]), fiducial=Fiducial(matching_fraction=0.51))
    assert (strict.tracks, strict.matched) == (1, 0)


def test_nothing_reconstructed_and_nothing_to_find() -> None:
    event = make_event([1, 1, 1, 1], {1: 2.0})
    nothing = match_tracks(event, np.full(4, -1))
    assert (nothing.efficiency, nothing.tracks) == (0.0, 0)
    assert math.isnan(nothing.fake_rate) and math.isnan(nothing.duplicate_rate)
    empty = combine([])
    assert math.isnan(empty.efficiency) and empty.tracks == 0


def test_binned_efficiency() -> None:
    event = make_event([1] * 4 + [2] * 4 + [3] * 4, {1: 1.2, 2: 1.4, 3: 8.0}, {1: 0.0, 2: -2.0, 3: 3.0})
    matching = match_tracks(event, np.array([0] * 4 + [-1] * 4 + [2] * 4))
    in_pt = matching.efficiency_in_pt([1.0, 2.0, 10.0])
    assert [(item.found, item.total) for item in in_pt] == [(1, 2), (1, 1)]
    assert in_pt[0].efficiency == 0.5 and in_pt[0].interval == clopper_pearson(1, 2)
    in_eta = matching.efficiency_in_eta([-4.0, -1.0, 1.0, 4.0])
    assert [(item.found, item.total) for item in in_eta] == [(0, 1), (1, 1), (1, 1)]
    assert sum(item.total for item in matching.fakes_in_eta()) == matching.tracks


def test_wrong_input_is_refused() -> None:
    event = make_event([1, 1, 1, 1], {1: 2.0})
    with pytest.raises(DataError, match="one label per hit"):
        match_tracks(event, np.zeros(3, dtype=np.int64))
    partial = make_event([1, 1, -1, 1], {1: 2.0})
    with pytest.raises(DataError, match="no complete truth"):
        match_tracks(partial, np.zeros(4, dtype=np.int64))
    with pytest.raises(ConfigError, match="pt_minimum"):
        load_config(Fiducial, overrides={"pt_minimum": 1.0})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_matching_agrees_with_a_groupby_implementation(seed: int) -> None:
    random = np.random.default_rng(seed)
    hits, particles = int(random.integers(1, 80)), int(random.integers(1, 9))
    particle_id = random.integers(0, particles + 1, size=hits)
    event = make_event(particle_id.tolist(), {i: float(random.uniform(0.2, 3)) for i in range(1, particles + 1)})
    labels = random.integers(-1, 6, size=hits)
    # Tracks that follow particles most of the time.
    follow = random.random(hits) < 0.7
    labels[follow] = particle_id[follow] - 1
    matching = match_tracks(event, labels)

    frame = pd.DataFrame({"track": labels, "particle": particle_id})
    frame = frame[frame.track >= 0]
    length = frame.groupby("track").size()
    shared = frame[frame.particle > 0].groupby(["track", "particle"]).size().rename("shared").reset_index()
    shared["length"] = shared.track.map(length)
    matched = shared[(shared.shared / shared.length >= 0.5) & (shared.length >= 3)]
    # Where two particles share a track half and half, the larger and then the first one is taken.
    matched = matched.sort_values(["track", "shared", "particle"], ascending=[True, False, True]).drop_duplicates(
        "track"
    )
    assert event.particles is not None
    hits_of = pd.Series(particle_id).value_counts()
    target = [
        int(i)
        for i, pt in zip(event.particles.particle_id, event.particles.pt, strict=True)
        if pt >= 1.0 and hits_of.get(i, 0) >= 4
    ]
    assert matching.tracks == int((length >= 3).sum())
    assert matching.matched == len(matched)
    assert matching.matched_reconstructable == int(matched.particle.isin(target).sum())
    assert int(matching.found.sum()) == len(set(matched.particle) & set(target))
    assert len(matching.found) == len(target)
