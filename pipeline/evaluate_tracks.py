"""Track figures of an evaluation, from the matching of its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..detector import UNLABELLED, Event
from ..models.metrics import (
    VARIABLES,
    Binning,
    EfficiencyBin,
    Fiducial,
    MeanBin,
    TrackMatching,
    Variable,
    combine,
    match_tracks,
    primary_vertices,
    trackml_score,
)
from ..reports.counts import BinnedMean, BinnedRate, BinnedRatio, Rate, Ratio
from ..reports.evaluation_record import BinnedTracks, TrackMLScore, TrackPerformance, TrackPurity

Bins = TypeVar("Bins", bound=BinnedRatio)
PURITY_BINS = 20
SHARES = {
    "atlas": "of the track's hits",
    "one_way": "of the track's hits, and found where one track holds that share of the particle's hits",
    "two_way": "of the track's hits and of the particle's",
}


@dataclass(kw_only=True)
class TrackTotals:
    """What is kept of each event.

    Attributes:
        cuts: Which particles should be found, and what counts as found.
        matchings: Matching of each event.
        scores: TrackML score of each event with complete truth, where it is defined.
        partial: Whether the truth of some event is partial.
        pile_up_given: Whether every event says how many primary vertices it has.
    """

    cuts: Fiducial
    matchings: list[TrackMatching] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    partial: bool = False
    pile_up_given: bool = True

    def merge(self, other: TrackTotals) -> None:
        """Add what is kept of later events."""
        self.matchings += other.matchings
        self.scores += other.scores
        self.partial |= other.partial
        self.pile_up_given &= other.pile_up_given

    def add(self, event: Event, labels: NDArray[np.int64]) -> None:
        """Match the tracks of one event.

        Args:
            event: The hits given to the chain.
            labels: int64 [hits], track of each.

        Raises:
            DataError: The event has no truth.
        """
        self.matchings.append(match_tracks(event, labels, fiducial=self.cuts))
        self.pile_up_given &= primary_vertices(event)[1]
        if event.particle_id is not None and (event.particle_id == UNLABELLED).any():
            self.partial = True
            return
        score = trackml_score(event, labels)
        if not np.isnan(score):
            self.scores.append(score)

    def performance(self, matching: TrackMatching, binning: Binning) -> TrackPerformance:
        """The figures for the record, from all events together (`matching`)."""
        found, known = int(matching.found.sum()), matching.tracks - matching.tracks_unknown
        low = int(np.count_nonzero(~matching.track_possible))
        high = int(np.count_nonzero(~matching.track_certain))
        return TrackPerformance(
            definition=define(self.cuts),
            efficiency=Ratio(passed=found, total=len(matching.found)),
            fake_rate=Ratio(passed=known - matching.matched, total=known),
            duplicate_rate=Rate(passed=matching.matched_reconstructable - found, total=found),
            tracks_unknown=matching.tracks_unknown,
            fake_rate_low=Ratio(passed=low, total=matching.tracks) if self.partial else None,
            fake_rate_high=Ratio(passed=high, total=matching.tracks) if self.partial else None,
            purity=_purity(matching),
            trackml=None if self.partial else _trackml(self.scores),
            binned={variable: _against(matching, variable, binning) for variable in VARIABLES},
            pile_up_given=self.pile_up_given,
        )

    def matching(self) -> TrackMatching:
        """All events together."""
        return combine(self.matchings)


def define(cuts: Fiducial) -> str:
    """The definition of the track figures in words."""
    vertex = "" if cuts.vertex_radius_max is None else f", made within {cuts.vertex_radius_max:g} mm of the beam line,"
    more = "more than" if cuts.matching_fraction == 0.5 else "at least"
    return (
        f"Particles with pT >= {cuts.pt_min:g} GeV, |eta| <= {cuts.eta_max:g}{vertex} and {cuts.minimum_hits} hits or "
        f"more; tracks of {cuts.minimum_track_hits} hits or more; a track is matched to the particle that gave {more} "
        f"{cuts.matching_fraction:.0%} {SHARES[cuts.matching]} (ACORN's definitions)"
    )


def binned_shares(bins: Sequence[EfficiencyBin], kind: type[Bins]) -> Bins:
    """Bins as a record of one kind, shares or rates."""
    return kind(
        edges=(bins[0].low, *(item.high for item in bins)),
        passed=tuple(item.found for item in bins),
        total=tuple(item.total for item in bins),
    )


def _against(matching: TrackMatching, variable: Variable, binning: Binning) -> BinnedTracks:
    edges = getattr(binning, variable)
    of_tracks = variable != "vertex_radius"
    return BinnedTracks(
        efficiency=binned_shares(matching.efficiency_in(variable, edges), BinnedRatio),
        fake_rate=binned_shares(matching.fakes_in(variable, edges), BinnedRatio) if of_tracks else None,
        duplicate_rate=binned_shares(matching.duplicates_in(variable, edges), BinnedRate),
        purity=_binned_means(matching.purity_in(variable, edges)) if of_tracks else None,
    )


def _binned_means(bins: Sequence[MeanBin]) -> BinnedMean:
    columns = [(item.mean, *item.interval) if item.total else (None, None, None) for item in bins]
    value, low, high = zip(*columns, strict=True)
    return BinnedMean(
        edges=(bins[0].low, *(item.high for item in bins)),
        total=tuple(item.total for item in bins),
        value=value,
        low=low,
        high=high,
    )


def _purity(matching: TrackMatching) -> TrackPurity:
    purity = matching.track_purity[matching.track_known]
    edges = np.linspace(0, 1, PURITY_BINS + 1)
    tracks, _ = np.histogram(purity, bins=edges)
    return TrackPurity(
        edges=tuple(float(edge) for edge in edges),
        tracks=tuple(int(count) for count in tracks),
        mean=min(float(purity.mean()), 1.0) if len(purity) else None,
        error=_error_of_mean(purity),
    )


def _trackml(scores: Sequence[float]) -> TrackMLScore | None:
    if not scores:
        return None
    mean = min(float(np.mean(scores)), 1.0)
    return TrackMLScore(score=mean, error=_error_of_mean(np.array(scores)), events=len(scores))


def _error_of_mean(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
