"""Outcome of matching found tracks to particles: rates, and rates in bins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from .metrics_intervals import EfficiencyBin, Floats, MeanBin, binned, binned_mean, ratio
from .metrics_variables import DEFAULT_BINS, Variable


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackMatching:
    """Outcome of matching one or more events; every ratio is over all of them.

    Particles are the reconstructable ones, tracks those long enough to be counted. A track of which fewer than half of
    the hits are labelled cannot be judged: it is unknown, and neither in the numerator nor in the denominator of a
    rate. Where every hit is labelled there is no such track, and all three kinds of matching below are the same.

    Attributes:
        pt: float64 [particles], GeV.
        eta: float64 [particles].
        phi: float64 [particles], rad.
        z0: float64 [particles], mm: production vertex along the beam.
        vertex_radius: float64 [particles], mm: distance of the production vertex from the beam line.
        pile_up: float64 [particles]: primary vertices of the event.
        found: bool [particles], reconstructed by at least one track.
        matches: int64 [particles], tracks that reconstruct it.
        track_pt: float64 [tracks], transverse momentum of a circle fitted to a track's hits, GeV.
        track_eta: float64 [tracks], mean pseudorapidity of a track's hits.
        track_phi: float64 [tracks], azimuth of the mean direction of a track's hits, rad.
        track_z0: float64 [tracks], mm: where a straight line through a track's z(r) meets the beam line.
        track_pile_up: float64 [tracks]: primary vertices of the event.
        track_purity: float64 [tracks], hits of the majority particle / labelled hits; NaN where no hit is labelled.
        track_known: bool [tracks], at least half of the hits are labelled.
        track_matched: bool [tracks], known, and matched by its labelled hits.
        track_certain: bool [tracks], matched whatever made the hits that are not labelled.
        track_possible: bool [tracks], matched by some assignment of the hits that are not labelled.
    """

    pt: Floats
    eta: Floats
    phi: Floats
    z0: Floats
    vertex_radius: Floats
    pile_up: Floats
    found: NDArray[np.bool_]
    matches: NDArray[np.int64]
    track_pt: Floats
    track_eta: Floats
    track_phi: Floats
    track_z0: Floats
    track_pile_up: Floats
    track_purity: Floats
    track_known: NDArray[np.bool_]
    track_matched: NDArray[np.bool_]
    track_certain: NDArray[np.bool_]
    track_possible: NDArray[np.bool_]

    @property
    def tracks(self) -> int:
        """Number of tracks counted, unknown ones included."""
        return len(self.track_known)

    @property
    def tracks_unknown(self) -> int:
        """Number of tracks that cannot be judged."""
        return int(np.count_nonzero(~self.track_known))

    @property
    def matched(self) -> int:
        """Number of known tracks matched to any particle."""
        return int(self.track_matched.sum())

    @property
    def matched_reconstructable(self) -> int:
        """Number of pairs of a reconstructable particle and a known track that reconstructs it."""
        return int(self.matches.sum())

    @property
    def efficiency(self) -> float:
        """Reconstructable particles found / reconstructable particles."""
        return ratio(int(self.found.sum()), len(self.found))

    @property
    def fake_rate(self) -> float:
        """1 - matched tracks / tracks, of known tracks."""
        return 1 - ratio(self.matched, self.tracks - self.tracks_unknown)

    @property
    def fake_rate_bounds(self) -> tuple[float, float]:
        """Lowest and highest fake rate of all tracks that the labelled hits allow; equal where all hits are."""
        certain, possible = int(self.track_certain.sum()), int(self.track_possible.sum())
        return 1 - ratio(possible, self.tracks), 1 - ratio(certain, self.tracks)

    @property
    def duplicate_rate(self) -> float:
        """(Tracks matched to reconstructable particles - particles found) / particles found."""
        unique = int(self.found.sum())
        return ratio(self.matched_reconstructable - unique, unique)

    @property
    def mean_purity(self) -> float:
        """Mean over known tracks of hits of the majority particle / labelled hits; NaN without tracks."""
        purity = self.track_purity[self.track_known]
        return float(purity.mean()) if len(purity) else float("nan")

    def efficiency_in(self, variable: Variable, edges: Sequence[float] | None = None) -> list[EfficiencyBin]:
        """Efficiency in bins of a variable of the particle; `edges` None takes the default bins."""
        return binned(getattr(self, variable), self.found, _edges(variable, edges))

    def duplicates_in(self, variable: Variable, edges: Sequence[float] | None = None) -> list[EfficiencyBin]:
        """Further tracks per particle found, in bins of a variable of the particle."""
        values = getattr(self, variable)[self.found]
        return binned(
            values, np.ones(len(values), dtype=bool), _edges(variable, edges), weights=self.matches[self.found] - 1
        )

    def fakes_in(self, variable: Variable, edges: Sequence[float] | None = None) -> list[EfficiencyBin]:
        """Fake rate of known tracks in bins of a variable of the track, which has no `vertex_radius`."""
        values = getattr(self, f"track_{variable}")[self.track_known]
        return binned(values, ~self.track_matched[self.track_known], _edges(variable, edges))

    def purity_in(self, variable: Variable, edges: Sequence[float] | None = None) -> list[MeanBin]:
        """Mean purity of known tracks in bins of a variable of the track, which has no `vertex_radius`."""
        values = getattr(self, f"track_{variable}")[self.track_known]
        return binned_mean(values, self.track_purity[self.track_known], _edges(variable, edges))

    def summary(self) -> dict[str, float | int]:
        """Rates and counts, ready for JSON."""
        return {
            "efficiency": self.efficiency,
            "fake_rate": self.fake_rate,
            "duplicate_rate": self.duplicate_rate,
            "mean_purity": self.mean_purity,
            "particles": len(self.found),
            "found": int(self.found.sum()),
            "tracks": self.tracks,
            "tracks_unknown": self.tracks_unknown,
            "matched": self.matched,
            "matched_reconstructable": self.matched_reconstructable,
        }


def combine(outcomes: Iterable[TrackMatching]) -> TrackMatching:
    """Add up the outcomes of several events (none gives an empty outcome)."""
    parts = list(outcomes)

    def joined(name: str) -> NDArray:
        empty = np.zeros(0, dtype=_KINDS.get(name, np.float64))
        return np.concatenate([empty, *(getattr(part, name) for part in parts)]).astype(empty.dtype)

    return TrackMatching(**{item.name: joined(item.name) for item in fields(TrackMatching)})


_FLAGS = ("found", "track_known", "track_matched", "track_certain", "track_possible")
_KINDS: dict[str, type] = {"matches": np.int64, **dict.fromkeys(_FLAGS, np.bool_)}


def _edges(variable: Variable, edges: Sequence[float] | None) -> Sequence[float]:
    return getattr(DEFAULT_BINS, variable) if edges is None else edges
