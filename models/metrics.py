"""Physics metrics: edges and tracks. NumPy and SciPy only.

Edge metrics treat every edge as one trial. Track metrics follow ACORN's evaluation of track reconstruction: a track is
matched to the particle that left most of its hits if that is at least half of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import beta, rankdata

from ..core import DataError, StrictModel
from ..detector import NO_TRACK, Event, track_pt

Floats = NDArray[np.float64]
DEFAULT_PT_BINS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 50.0)
DEFAULT_ETA_BINS = tuple(np.round(np.linspace(-4.0, 4.0, 17), 6))


def roc_auc(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, the probability that a signal edge scores above a background edge (ties count half).

    Args:
        scores: [E].
        labels: bool [E], True for signal.

    Returns:
        0 to 1; NaN where there is no signal or no background.

    Source: Mann-Whitney U statistic over mid-ranks.
    """
    signal, total = int(labels.sum()), len(labels)
    if signal in (0, total):
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - signal * (signal + 1) / 2) / (signal * (total - signal)))


def roc_curve(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """False and true positive rate at every threshold.

    Args:
        scores: [E].
        labels: bool [E], True for signal.

    Returns:
        False positive rate, true positive rate, threshold (accepted: score >= threshold), from (0, 0, inf) on; one
        point per distinct score. Rates are NaN where there is no background (no signal).
    """
    order = np.argsort(-scores, kind="stable")
    ordered, truth = scores[order].astype(np.float64), labels[order]
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True)) if len(ordered) else np.zeros(0, dtype=np.int64)
    true, false = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    with np.errstate(invalid="ignore", divide="ignore"):
        true_rate = np.append(0, true) / np.float64(labels.sum())
        false_rate = np.append(0, false) / np.float64((~labels).sum())
    return false_rate, true_rate, np.append(np.inf, ordered[last])


def edge_efficiency_purity(
    kept: NDArray[np.bool_], labels: NDArray[np.bool_], *, true_edges: int | None = None
) -> tuple[float, float]:
    """Efficiency and purity of selected edges.

    Args:
        kept: bool [E], selected edges.
        labels: bool [E], true edges.
        true_edges: Number of true edges there are in all; None counts only those among the E.

    Returns:
        (selected true / all true, selected true / selected); NaN for 0 / 0.
    """
    both = int(np.count_nonzero(kept & labels))
    total = int(labels.sum()) if true_edges is None else true_edges
    return _ratio(both, total), _ratio(both, int(kept.sum()))


def clopper_pearson(passed: int, total: int, *, level: float = 0.6827) -> tuple[float, float]:
    """Central Clopper-Pearson interval of a binomial efficiency.

    Args:
        passed: Successes.
        total: Trials.
        level: Confidence level; the default is one standard deviation.

    Returns:
        (lower, upper); (0, 1) without trials.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404.
    """
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, passed, total - passed + 1)) if passed > 0 else 0.0
    high = float(beta.ppf(1 - tail, passed + 1, total - passed)) if passed < total else 1.0
    return low, high


class Fiducial(StrictModel):
    """Which particles should be found, and what counts as a track.

    Attributes:
        pt_min: Least transverse momentum of a particle, GeV.
        eta_max: Largest |pseudorapidity| of a particle.
        minimum_hits: Least number of hits of a particle among the hits given.
        minimum_track_hits: Least number of hits of a reconstructed track; shorter ones are not counted.
        matching_fraction: Least fraction of a track's hits from one particle.
    """

    pt_min: float = Field(default=1.0, ge=0)
    eta_max: float = Field(default=4.0, gt=0)
    minimum_hits: int = Field(default=4, ge=1)
    minimum_track_hits: int = Field(default=3, ge=1)
    matching_fraction: float = Field(default=0.5, gt=0, le=1)


@dataclass(frozen=True, kw_only=True)
class EfficiencyBin:
    """Efficiency of one bin; `low <= value < high`, and the last bin includes its upper edge."""

    low: float
    high: float
    found: int
    total: int

    @property
    def efficiency(self) -> float:
        """Found / total, NaN without particles."""
        return _ratio(self.found, self.total)

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson interval of one standard deviation."""
        return clopper_pearson(self.found, self.total)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackMatching:
    """Outcome of matching one or more events; every ratio is over all of them.

    Attributes:
        pt: float64 [reconstructable particles], GeV.
        eta: float64 [reconstructable particles].
        found: bool [reconstructable particles], matched by at least one track.
        matches: int64 [reconstructable particles], tracks matched to it.
        tracks: Number of reconstructed tracks.
        matched: Tracks matched to any particle.
        matched_reconstructable: Tracks matched to a reconstructable particle.
        track_pt: float64 [tracks], transverse momentum of a circle fitted to a track's hits, GeV.
        track_eta: float64 [tracks], mean pseudorapidity of a track's hits.
        track_matched: bool [tracks].
    """

    pt: Floats
    eta: Floats
    found: NDArray[np.bool_]
    matches: NDArray[np.int64]
    tracks: int
    matched: int
    matched_reconstructable: int
    track_pt: Floats
    track_eta: Floats
    track_matched: NDArray[np.bool_]

    @property
    def efficiency(self) -> float:
        """Reconstructable particles found / reconstructable particles."""
        return _ratio(int(self.found.sum()), len(self.found))

    @property
    def fake_rate(self) -> float:
        """1 - matched tracks / tracks."""
        return 1 - _ratio(self.matched, self.tracks)

    @property
    def duplicate_rate(self) -> float:
        """(Tracks matched to reconstructable particles - particles found) / particles found."""
        unique = int(self.found.sum())
        return _ratio(self.matched_reconstructable - unique, unique)

    def efficiency_in_pt(self, edges: Sequence[float] = DEFAULT_PT_BINS) -> list[EfficiencyBin]:
        """Efficiency in bins of the particle's transverse momentum, GeV."""
        return _bins(self.pt, self.found, edges)

    def efficiency_in_eta(self, edges: Sequence[float] = DEFAULT_ETA_BINS) -> list[EfficiencyBin]:
        """Efficiency in bins of the particle's pseudorapidity."""
        return _bins(self.eta, self.found, edges)

    def fakes_in_pt(self, edges: Sequence[float] = DEFAULT_PT_BINS) -> list[EfficiencyBin]:
        """Fake rate in bins of a track's fitted transverse momentum, GeV."""
        return _bins(self.track_pt, ~self.track_matched, edges)

    def duplicates_in_pt(self, edges: Sequence[float] = DEFAULT_PT_BINS) -> list[EfficiencyBin]:
        """Further tracks per particle found, in bins of the particle's transverse momentum, GeV."""
        return self._duplicates(self.pt, edges)

    def duplicates_in_eta(self, edges: Sequence[float] = DEFAULT_ETA_BINS) -> list[EfficiencyBin]:
        """Further tracks per particle found, in bins of the particle's pseudorapidity."""
        return self._duplicates(self.eta, edges)

    def _duplicates(self, values: Floats, edges: Sequence[float]) -> list[EfficiencyBin]:
        found = values[self.found]
        return _bins(found, np.ones(len(found), dtype=bool), edges, weights=(self.matches[self.found] - 1))

    def fakes_in_eta(self, edges: Sequence[float] = DEFAULT_ETA_BINS) -> list[EfficiencyBin]:
        """Fake rate in bins of the mean pseudorapidity of a track's hits."""
        return _bins(self.track_eta, ~self.track_matched, edges)

    def summary(self) -> dict[str, float | int]:
        """Rates and counts, ready for JSON."""
        return {
            "efficiency": self.efficiency,
            "fake_rate": self.fake_rate,
            "duplicate_rate": self.duplicate_rate,
            "particles": len(self.found),
            "found": int(self.found.sum()),
            "tracks": self.tracks,
            "matched": self.matched,
            "matched_reconstructable": self.matched_reconstructable,
        }


def match_tracks(event: Event, labels: NDArray[np.int64], *, fiducial: Fiducial | None = None) -> TrackMatching:
    """Match the tracks of one event to its particles.

    Args:
        event: Hits given to the reconstruction, with truth of every hit and the particle table.
        labels: int64 [hits], track of each hit, `NO_TRACK` (-1) for none; any other integers name tracks.
        fiducial: Cuts; None takes the defaults.

    Returns:
        The outcome. Hits of no particle (noise) count in a track's length and match nothing.

    Raises:
        DataError: The event has no truth, or only of some hits; or there is not one label per hit.
    """
    cuts = fiducial or Fiducial()
    rows = _particle_rows(event, labels)
    assert event.particles is not None
    on_track = labels != NO_TRACK
    _, track, lengths = np.unique(labels[on_track], return_inverse=True, return_counts=True)
    track_row, shared = _majority(track, rows[on_track], tracks=len(lengths))
    counted = lengths >= cuts.minimum_track_hits
    matched = (track_row >= 0) & (shared >= cuts.matching_fraction * lengths)
    eta_sums = np.bincount(track, weights=event.eta[on_track].astype(np.float64), minlength=len(lengths))

    hits = np.bincount(rows[rows >= 0], minlength=len(event.particles))
    fiducial_cuts = (event.particles.pt >= cuts.pt_min) & (np.abs(event.particles.eta) <= cuts.eta_max)
    target = fiducial_cuts & (hits >= cuts.minimum_hits)
    matched_rows = track_row[counted & matched]
    found = np.zeros(len(event.particles), dtype=bool)
    found[matched_rows] = True
    return TrackMatching(
        pt=event.particles.pt[target].astype(np.float64),
        eta=event.particles.eta[target].astype(np.float64),
        found=found[target],
        matches=np.bincount(matched_rows, minlength=len(event.particles))[target],
        tracks=int(counted.sum()),
        matched=len(matched_rows),
        matched_reconstructable=int(target[matched_rows].sum()),
        track_pt=track_pt(event.take(np.flatnonzero(on_track)), track, tracks=len(lengths))[counted],
        track_eta=(eta_sums / np.maximum(lengths, 1))[counted],
        track_matched=matched[counted],
    )


def combine(outcomes: Iterable[TrackMatching]) -> TrackMatching:
    """Add up the outcomes of several events (none gives an empty outcome)."""
    parts = list(outcomes)

    def joined(name: str, dtype: type) -> NDArray:
        return np.concatenate([np.zeros(0, dtype=dtype), *(getattr(part, name) for part in parts)]).astype(dtype)

    return TrackMatching(
        pt=joined("pt", np.float64),
        eta=joined("eta", np.float64),
        found=joined("found", np.bool_),
        matches=joined("matches", np.int64),
        tracks=sum(part.tracks for part in parts),
        matched=sum(part.matched for part in parts),
        matched_reconstructable=sum(part.matched_reconstructable for part in parts),
        track_pt=joined("track_pt", np.float64),
        track_eta=joined("track_eta", np.float64),
        track_matched=joined("track_matched", np.bool_),
    )


def _particle_rows(event: Event, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    if event.particle_id is None or event.particles is None or (event.particle_id < 0).any():
        raise DataError(
            f"event {event.name} has no complete truth", remedy="evaluate events with -truth.csv and -particles.csv"
        )
    if labels.shape != (len(event),):
        raise DataError(
            f"{labels.shape} labels for the {len(event)} hits of event {event.name}", remedy="give one label per hit"
        )
    return event.particle_row


def _majority(
    track: NDArray[np.int64], rows: NDArray[np.int64], *, tracks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Particle row with most hits of each track (-1 where none; the lowest row wins a tie), and that number of hits."""
    best, shared = np.full(tracks, -1, dtype=np.int64), np.zeros(tracks, dtype=np.int64)
    known = rows >= 0
    pairs, counts = np.unique(np.stack([track[known], rows[known]], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], counts, pairs[:, 0]))  # the winner of each track comes last
    best[pairs[order, 0]] = pairs[order, 1]
    shared[pairs[order, 0]] = counts[order]
    return best, shared


def _bins(
    values: Floats, passed: NDArray[np.bool_], edges: Sequence[float], weights: NDArray[np.int64] | None = None
) -> list[EfficiencyBin]:
    total, _ = np.histogram(values, bins=edges)
    found, _ = np.histogram(values[passed], bins=edges, weights=None if weights is None else weights[passed])
    return [
        EfficiencyBin(low=float(edges[i]), high=float(edges[i + 1]), found=int(found[i]), total=int(total[i]))
        for i in range(len(edges) - 1)
    ]


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else float("nan")
