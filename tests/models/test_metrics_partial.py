"""Partial truth: a hit that is not labelled is unknown, not fake."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.detector import PIXEL_VOLUMES, UNLABELLED, read_event
from hitfabric.models.metrics import Fiducial, match_tracks
from support.hand_event import hand_event

# One track each: its hits (-1 not labelled, 0 noise); then known, matched, certainly matched, possibly matched, purity.
TRACKS = [
    ((1, 1, 1, 1), (True, True, True, True, 1.0)),
    ((1, 1, 1, -1), (True, True, True, True, 1.0)),  # three of four, whatever the fourth is
    ((1, 1, -1, -1), (True, True, False, True, 1.0)),  # half is labelled: judged by that half
    ((1, -1, -1, -1), (False, False, False, True, 1.0)),
    ((-1, -1, -1, -1), (False, False, False, True, np.nan)),
    ((1, 2, -1), (True, False, False, True, 0.5)),
    ((1, 2, 0, -1), (True, False, False, False, 1 / 3)),  # two of four at best
    ((0, 0, 0, -1), (True, False, False, False, 0.0)),
    ((0, -1, -1, -1), (False, False, False, True, 0.0)),  # the three may be of one particle that is not listed
    ((1, 2, 3, -1, -1), (True, False, False, True, 1 / 3)),
]


@pytest.mark.parametrize(("hits", "expected"), TRACKS)
def test_one_track_of_partly_labelled_hits(hits: tuple[int, ...], expected: tuple) -> None:
    event = hand_event(hits, {1: 2.0, 2: 2.0, 3: 2.0})
    matching = match_tracks(event, np.zeros(len(hits), dtype=int), fiducial=Fiducial(minimum_hits=1))
    found = (matching.track_known, matching.track_matched, matching.track_certain, matching.track_possible)
    assert tuple(bool(flag[0]) for flag in found) == expected[:4]
    np.testing.assert_array_equal(matching.track_purity, [expected[4]])


def test_unknown_tracks_are_in_no_rate() -> None:
    hits = [1, 1, 1, -1, 2, -1, -1, -1, 0, 0, 0, -1, -1, -1]
    labels = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    matching = match_tracks(hand_event(hits, {1: 2.0, 2: 2.0}), np.array(labels), fiducial=Fiducial(minimum_hits=1))
    assert (matching.tracks, matching.tracks_unknown, matching.matched) == (4, 2, 1)
    assert matching.fake_rate == 0.5  # of the two known ones
    assert matching.fake_rate_bounds == (0.25, 0.75)  # of all four
    assert matching.found.tolist() == [True, False]  # an unknown track finds nothing
    assert matching.mean_purity == 0.5
    assert sum(item.total for item in matching.fakes_in("eta")) == 2


def test_particles_are_counted_by_their_labelled_hits() -> None:
    event = hand_event([1, 1, 1, 1, 2, 2, 2, -1], {1: 2.0, 2: 2.0})
    assert len(match_tracks(event, np.full(8, -1)).found) == 1


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([-1, -1, 0, 1, 2])), min_size=1, max_size=9),
    st.sampled_from(["atlas", "one_way"]),
    st.sampled_from([0.5, 0.7, 1.0]),
)
def test_bounds_hold_for_every_labelling(rows: list[tuple[int, int]], style: str, fraction: float) -> None:
    labels = np.array([label for label, _ in rows])
    hits = [particle for _, particle in rows]
    pt: dict[int, float] = {particle: 2.0 for particle in range(1, 4)}
    cuts = Fiducial.model_validate({"matching": style, "matching_fraction": fraction, "minimum_track_hits": 1})
    matching = match_tracks(hand_event(hits, pt), labels, fiducial=cuts)
    low, high = matching.fake_rate_bounds
    unknown = [place for place, particle in enumerate(hits) if particle == UNLABELLED][:3]
    rates = []
    for made_by in product((0, 1, 2, 3), repeat=len(unknown)):
        complete = [max(particle, 0) for particle in hits]
        for place, particle in zip(unknown, made_by, strict=True):
            complete[place] = particle
        rates.append(match_tracks(hand_event(complete, pt), labels, fiducial=cuts).fake_rate)
    assert low <= min(rates) and max(rates) <= high
    if fraction == 0.5 and matching.tracks > matching.tracks_unknown:
        assert low <= matching.fake_rate <= high


def test_real_partial_truth(shared_data: Path) -> None:
    folder = shared_data / "trackml"
    if not folder.is_dir():
        pytest.skip(f"no partly labelled events at {folder}")
    event = read_event(folder / "event000001061").select(volumes=PIXEL_VOLUMES)
    assert event.particle_id is not None and (event.particle_id == UNLABELLED).any()
    # Perfect tracks of the labelled particles, and every unlabelled hit on a track of its own kind: five by five.
    labels = event.particle_row.copy()
    free = np.flatnonzero(event.particle_id == UNLABELLED)
    labels[free] = len(event) + np.arange(len(free)) // 5
    matching = match_tracks(event, labels)
    assert matching.efficiency == 1.0 and matching.fake_rate == 0.0 and len(matching.found) > 300
    assert matching.tracks_unknown == np.count_nonzero(np.bincount(np.arange(len(free)) // 5) >= 3)
    low, high = matching.fake_rate_bounds
    assert low == 0.0 and high == pytest.approx(matching.tracks_unknown / matching.tracks)
    # As many tracks again made of labelled hits of different particles are fake, known to be so.
    shuffled = np.random.default_rng(0).permutation(labels)
    assert match_tracks(event, shuffled).fake_rate > 0.9
