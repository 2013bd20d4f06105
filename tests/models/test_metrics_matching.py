"""Matching of tracks against tables worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.models.metrics import DEFAULT_BINS, VARIABLES, Fiducial, clopper_pearson, combine, match_tracks
from support.hand_event import hand_event

PT = {1: 2.0, 2: 0.5, 3: 3.0, 4: 5.0}
EVERYTHING = Fiducial(pt_min=0.0, minimum_hits=1, minimum_track_hits=1)


def test_matching_worked_out_by_hand() -> None:
    # Particle 1: found twice. 2: below the pT cut, found. 3: too few hits. 4: lost, its hits are in an impure track.
    particle_id = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 0, 0, 0]
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, -1, -1, 4, 4, 4]
    matching = match_tracks(hand_event(particle_id, PT), np.array(labels))
    assert matching.tracks == 5  # 0, 1, 2, 3, 4
    assert matching.matched == 4  # all but 4, of which two hits in five are of particle 4
    assert matching.matched_reconstructable == 2  # 0 and 1
    assert matching.pt.tolist() == [2.0, 5.0]
    assert matching.found.tolist() == [True, False]
    assert matching.matches.tolist() == [2, 0]
    assert matching.efficiency == 0.5
    assert matching.fake_rate == 1 - 4 / 5
    assert matching.duplicate_rate == 1.0
    assert matching.track_purity.tolist() == [1.0, 1.0, 1.0, 1.0, 0.4]
    assert matching.mean_purity == pytest.approx(4.4 / 5)
    assert matching.fake_rate_bounds == (matching.fake_rate, matching.fake_rate)
    assert matching.tracks_unknown == 0


# Two tracks: A (hits of particle 1, then of 2), B (the rest). Columns: hits of 1 and 2 in A and in B; then for each
# style the tracks matched and the particles found.
STYLES = [
    # A: 1, 2   B: 1, 2   atlas            one_way          two_way
    ((4, 0), (0, 4), ("AB", {1, 2}), ("AB", {1, 2}), ("AB", {1, 2})),
    ((3, 2), (1, 4), ("AB", {1, 2}), ("AB", {1, 2}), ("AB", {1, 2})),
    ((2, 2), (4, 1), ("B", {1}), ("B", {1, 2}), ("B", {1})),  # 2 gave most of its hits to a track half of which is 1
    ((4, 0), (4, 0), ("AB", {1}), ("AB", set()), ("", set())),  # half of the hits is not enough
    ((5, 0), (3, 0), ("AB", {1}), ("AB", {1}), ("A", {1})),
    ((6, 3), (0, 1), ("AB", {1, 2}), ("AB", {1, 2}), ("A", {1})),  # B is pure and holds a quarter of 2
    ((3, 3), (0, 0), ("", set()), ("", {1, 2}), ("", set())),
]


@pytest.mark.parametrize("row", STYLES)
def test_the_three_styles(row: tuple) -> None:
    (a1, a2), (b1, b2), *expected = row
    particle_id = [1] * a1 + [2] * a2 + [1] * b1 + [2] * b2
    labels = np.array([0] * (a1 + a2) + [1] * (b1 + b2))
    event = hand_event(particle_id, {1: 1.0, 2: 2.0})
    present = [i for i in (1, 2) if i in particle_id]
    for style, (tracks, particles) in zip(("atlas", "one_way", "two_way"), expected, strict=True):
        cuts = load_config(Fiducial, overrides={**EVERYTHING.model_dump(), "matching": style})
        matching = match_tracks(event, labels, fiducial=cuts)
        names = "AB"[: matching.tracks]
        assert "".join(n for n, good in zip(names, matching.track_matched, strict=True) if good) == tracks, style
        assert {i for i, good in zip(present, matching.found, strict=True) if good} == particles, style
        assert (1 - matching.fake_rate) == pytest.approx(len(tracks) / matching.tracks)


@pytest.mark.parametrize(("fraction", "matched"), [(0.5, True), (0.6, True), (0.61, False), (0.75, False)])
def test_a_share_above_one_half_needs_only_be_reached(fraction: float, matched: bool) -> None:
    event = hand_event([1, 1, 1, 2, 2], {1: 2.0, 2: 2.0})
    matching = match_tracks(event, np.zeros(5, dtype=int), fiducial=Fiducial(matching_fraction=fraction))
    assert matching.track_matched.tolist() == [matched]


def test_short_tracks_and_exactly_half_pure_tracks() -> None:
    event = hand_event([1, 1, 1, 1, 2, 2, 2, 2], {1: 2.0, 2: 2.0})
    half = match_tracks(event, np.array([0, 0, -1, -1, 0, 0, 1, 1]))
    assert (half.tracks, half.matched) == (
        1,
        0,
    )  # the track of two hits is not counted; half of the hits is no majority
    assert half.track_purity.tolist() == [0.5]


def test_nothing_reconstructed_and_nothing_to_find() -> None:
    nothing = match_tracks(hand_event([1, 1, 1, 1], {1: 2.0}), np.full(4, -1))
    assert (nothing.efficiency, nothing.tracks) == (0.0, 0)
    for value in (nothing.fake_rate, nothing.duplicate_rate, nothing.mean_purity, *nothing.fake_rate_bounds):
        assert math.isnan(value)
    noise = match_tracks(hand_event([0, 0, 0], {}), np.zeros(3, dtype=int))
    assert (noise.fake_rate, noise.mean_purity) == (1.0, 0.0) and math.isnan(noise.efficiency)
    empty = combine([])
    assert math.isnan(empty.efficiency) and empty.tracks == 0
    assert combine([nothing, empty]).summary()["particles"] == 1


def test_fiducial_cuts() -> None:
    #        in   eta 4.5   vertex 300 mm  pT 0.9
    pt, eta = {1: 2.0, 2: 2.0, 3: 2.0, 4: 0.9}, {2: 4.5}
    event = hand_event([1] * 4 + [2] * 4 + [3] * 4 + [4] * 4, pt, eta=eta, vertex={3: (0.0, 300.0, 0.0)})
    labels = np.repeat(np.arange(4), 4)
    assert len(match_tracks(event, labels).found) == 2
    inner = match_tracks(event, labels, fiducial=Fiducial(vertex_radius_max=260.0))
    assert (len(inner.found), inner.matched, inner.matched_reconstructable) == (1, 4, 1)
    assert match_tracks(event, labels).vertex_radius.tolist() == [0.0, 300.0]


def test_binned_efficiency() -> None:
    event = hand_event(
        [1] * 4 + [2] * 4 + [3] * 4,
        {1: 1.2, 2: 1.4, 3: 8.0},
        eta={1: 0.0, 2: -2.0, 3: 3.0},
        vertex={3: (0.0, 0.0, 40.0)},
        z=[*[2.0] * 8, *np.arange(4) * 10.0],
        pile_up=90,
    )
    matching = match_tracks(event, np.array([0] * 4 + [-1] * 4 + [2] * 4))
    in_pt = matching.efficiency_in("pt", [1.0, 2.0, 10.0])
    assert [(item.found, item.total) for item in in_pt] == [(1, 2), (1, 1)]
    assert in_pt[0].efficiency == 0.5 and in_pt[0].interval == clopper_pearson(1, 2)
    in_eta = matching.efficiency_in("eta", [-4.0, -1.0, 1.0, 4.0])
    assert [(item.found, item.total) for item in in_eta] == [(0, 1), (1, 1), (1, 1)]
    in_z0 = matching.efficiency_in("z0", [-50.0, 0.0, 20.0, 50.0])
    assert [(item.found, item.total) for item in in_z0] == [(0, 0), (1, 2), (1, 1)]
    in_pile_up = matching.efficiency_in("pile_up", [0, 50, 100])
    assert [(item.found, item.total) for item in in_pile_up] == [(0, 0), (2, 3)]
    for variable in VARIABLES:
        assert sum(item.total for item in matching.efficiency_in(variable)) == 3
        if variable not in ("vertex_radius", "pt"):
            bins = (-1e4, 1e4) if variable == "z0" else None
            assert sum(item.total for item in matching.fakes_in(variable, bins)) == matching.tracks
    # The straight line through z = 2 mm meets the beam line there; the other rises by 10 mm a mm, from 38 mm on.
    assert matching.track_z0 == pytest.approx([2.0, -380.0])
    assert [item.total for item in matching.fakes_in("phi", DEFAULT_BINS.phi)][8] == 2  # along x: the bin from 0 on


def test_duplicates_in_bins() -> None:
    event = hand_event([1] * 9 + [2] * 4, {1: 1.5, 2: 8.0})
    matching = match_tracks(event, np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3]))
    assert matching.duplicate_rate == 1.0  # two further tracks, two particles found
    assert [(i.found, i.total) for i in matching.duplicates_in("pt", [1.0, 2.0, 10.0])] == [(2, 1), (0, 1)]


def test_wrong_input_is_refused() -> None:
    event = hand_event([1, 1, 1, 1], {1: 2.0})
    with pytest.raises(DataError, match="one label per hit"):
        match_tracks(event, np.zeros(3, dtype=np.int64))
    for absent in ("particle_id", "particles"):
        with pytest.raises(DataError, match="no truth"):
            match_tracks(replace(event, **{absent: None}), np.zeros(4, dtype=np.int64))
    for overrides in ({"pt_minimum": 1.0}, {"matching": "both"}, {"matching_fraction": 0.4}):
        with pytest.raises(ConfigError):
            load_config(Fiducial, overrides=overrides)
