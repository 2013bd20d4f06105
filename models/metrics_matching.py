"""Matching of found tracks to particles, by the definitions of ACORN.

Source: ACORN, `acorn/stages/track_building/utils.py` (`evaluate_labelled_graph`) and `track_building_stage.py`
(`tracking_efficiency`). docs/metrics.md lists what differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import DataError, StrictModel
from ..detector import NO_TRACK, UNLABELLED, Event
from .metrics_tracks import TrackMatching
from .metrics_variables import particle_values, track_values

MatchingStyle = Literal["atlas", "one_way", "two_way"]


class Fiducial(StrictModel):
    """Which particles should be found, and what counts as a track.

    Attributes:
        pt_min: Least transverse momentum of a particle, GeV.
        eta_max: Largest |pseudorapidity| of a particle.
        vertex_radius_max: Largest distance of a particle's production vertex from the beam line, mm; None: any.
        minimum_hits: Least number of hits of a particle among the hits given; of labelled ones where truth is partial.
        minimum_track_hits: Least number of hits of a reconstructed track; shorter ones are not counted.
        matching: Which share decides; all three are ACORN's. `atlas`: of the track's hits (purity), for tracks and for
            particles. `one_way`: of the track's hits for tracks, of the particle's hits for particles. `two_way`: both
            for both (double majority).
        matching_fraction: Least share of hits; at 0.5 a share must be larger, so that nothing is matched twice.
    """

    pt_min: float = Field(default=1.0, ge=0)
    eta_max: float = Field(default=4.0, gt=0)
    vertex_radius_max: float | None = Field(default=None, gt=0)
    minimum_hits: int = Field(default=4, ge=1)
    minimum_track_hits: int = Field(default=3, ge=1)
    matching: MatchingStyle = "atlas"
    matching_fraction: float = Field(default=0.5, ge=0.5, le=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedHits:
    """How hits are shared between tracks and particles.

    Attributes:
        hit_track: int64 [hits on tracks], track of each.
        lengths: int64 [tracks], hits.
        labelled: int64 [tracks], hits whose origin is known.
        particle_hits: int64 [particles], labelled hits, on tracks or not.
        track: int64 [pairs], track and
        row: int64 [pairs], particle that share at least one hit; sorted by track, then row.
        shared: int64 [pairs], number of hits they share.
    """

    hit_track: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labelled: NDArray[np.int64]
    particle_hits: NDArray[np.int64]
    track: NDArray[np.int64]
    row: NDArray[np.int64]
    shared: NDArray[np.int64]

    @classmethod
    def count(cls, event: Event, labels: NDArray[np.int64]) -> SharedHits:
        """Count the hits of each track, particle, and pair of both.

        Args:
            event: Hits, truth of some or all of them, and particles.
            labels: int64 [hits], track of each hit, `NO_TRACK` for none.

        Raises:
            DataError: The event has no truth, or there is not one label per hit.
        """
        rows, known = _truth(event, labels)
        on_track = labels != NO_TRACK
        _, track, lengths = np.unique(labels[on_track], return_inverse=True, return_counts=True)
        particles = len(event.particles) if event.particles is not None else 0
        row = rows[on_track]
        keys, shared = np.unique(track[row >= 0] * max(particles, 1) + row[row >= 0], return_counts=True)
        pair_track, pair_row = np.divmod(keys, max(particles, 1))
        return cls(
            hit_track=track,
            lengths=lengths,
            labelled=np.bincount(track[known[on_track]], minlength=len(lengths)),
            particle_hits=np.bincount(rows[rows >= 0], minlength=particles),
            track=pair_track,
            row=pair_row,
            shared=shared,
        )

    def majority(self) -> NDArray[np.int64]:
        """Most hits that each track shares with one particle, int64 [tracks]."""
        most = np.zeros(len(self.lengths), dtype=np.int64)
        np.maximum.at(most, self.track, self.shared)
        return most


def match_tracks(event: Event, labels: NDArray[np.int64], *, fiducial: Fiducial | None = None) -> TrackMatching:
    """Match the tracks of one event to its particles.

    Args:
        event: Hits given to the reconstruction, with truth of all or some of them and the particle table. Hits with
            `UNLABELLED` truth are unknown: neither of a particle nor noise.
        labels: int64 [hits], track of each hit, `NO_TRACK` (-1) for none; any other integers name tracks.
        fiducial: Cuts; None takes the defaults.

    Returns:
        The outcome. Hits of no particle (noise) count in a track's length and match nothing.

    Raises:
        DataError: The event has no truth or no particle table, or there is not one label per hit.
    """
    cuts = fiducial or Fiducial()
    hits = SharedHits.count(event, labels)
    counted = hits.lengths >= cuts.minimum_track_hits
    known = 2 * hits.labelled >= hits.lengths
    matched, reconstructed = _pairs(hits, cuts)
    certain, possible = _bounds(hits, cuts)
    usable = (counted & known)[hits.track]
    matches = np.bincount(hits.row[reconstructed & usable], minlength=len(hits.particle_hits))
    particles = particle_values(event)
    target = (
        (particles["pt"] >= cuts.pt_min)
        & (np.abs(particles["eta"]) <= cuts.eta_max)
        & (particles["vertex_radius"] <= (np.inf if cuts.vertex_radius_max is None else cuts.vertex_radius_max))
        & (hits.particle_hits >= cuts.minimum_hits)
    )
    tracks = track_values(event.take(np.flatnonzero(labels != NO_TRACK)), hits.hit_track, tracks=len(hits.lengths))
    with np.errstate(invalid="ignore"):
        purity = hits.majority() / hits.labelled
    return TrackMatching(
        **{name: values[target] for name, values in particles.items()},
        found=matches[target] > 0,
        matches=matches[target],
        **{f"track_{name}": values[counted] for name, values in tracks.items()},
        track_purity=purity[counted],
        track_known=known[counted],
        track_matched=_any(hits, matched & usable)[counted],
        track_certain=certain[counted],
        track_possible=possible[counted],
    )


def _pairs(hits: SharedHits, cuts: Fiducial) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs match the track, and which reconstruct the particle, judged by labelled hits; bool [pairs] each."""
    of_track = _reaches(hits.shared, hits.labelled[hits.track], cuts.matching_fraction)
    of_particle = _reaches(hits.shared, hits.particle_hits[hits.row], cuts.matching_fraction)
    if cuts.matching == "two_way":
        return of_track & of_particle, of_track & of_particle
    return of_track, of_particle if cuts.matching == "one_way" else of_track


def _bounds(hits: SharedHits, cuts: Fiducial) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tracks matched whatever made their unlabelled hits, and tracks some assignment of them matches; bool [tracks]."""
    fraction, lengths = cuts.matching_fraction, hits.lengths
    unlabelled = lengths - hits.labelled
    certain = _reaches(hits.shared, lengths[hits.track], fraction)
    possible = _reaches(hits.shared + unlabelled[hits.track], lengths[hits.track], fraction)
    if cuts.matching == "two_way":
        of_particle = _reaches(hits.shared, hits.particle_hits[hits.row], fraction)
        certain &= of_particle
        possible &= of_particle | (unlabelled[hits.track] > 0)
    return _any(hits, certain), _any(hits, possible) | _reaches(unlabelled, lengths, fraction)


def _reaches(part: NDArray[np.int64], whole: NDArray[np.int64], fraction: float) -> NDArray[np.bool_]:
    """Whether part / whole is at least `fraction`, and more than it at 0.5; False for 0 / 0."""
    if fraction == 0.5:
        return 2 * part > whole
    return (whole > 0) & (part / np.maximum(whole, 1) >= fraction)


def _any(hits: SharedHits, pairs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tracks with one of these pairs, bool [tracks]."""
    found = np.zeros(len(hits.lengths), dtype=bool)
    found[hits.track[pairs]] = True
    return found


def _truth(event: Event, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Particle row of each hit (-1: none), and whether its origin is known."""
    if event.particle_id is None or event.particles is None:
        raise DataError(
            f"event {event.name} has no truth",
            remedy="evaluate events with -truth.csv (or -truthlabels.csv) and -particles.csv",
        )
    if labels.shape != (len(event),):
        raise DataError(
            f"{labels.shape} labels for the {len(event)} hits of event {event.name}", remedy="give one label per hit"
        )
    return event.particle_row, event.particle_id != UNLABELLED
