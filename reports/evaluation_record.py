"""`evaluation.json`: what `hitfabric evaluate` measured.

Counts are what is stored and read. Shares, with their intervals of one standard deviation, are written beside them for
those who read the file with other tools; on reading they are derived again from the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, FiniteFloat, NonNegativeInt, model_validator

from ..core import StrictModel
from .statistics import Interval as Intervals
from .statistics import rates, shares

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Interval = tuple[float | None, float | None, float | None]
Record = TypeVar("Record", bound=StrictModel)


class Ratio(StrictModel):
    """`passed` of `total`, a share.

    Attributes:
        passed: Successes.
        total: Trials.
        value: Passed / total, None without trials; derived, as the next two.
        low: Lower bound of the Clopper-Pearson interval.
        high: Upper bound.
    """

    passed: NonNegativeInt
    total: NonNegativeInt
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _derive(self) -> Self:
        ((value, low, high),) = self._intervals((self.passed,), (self.total,))
        return _set(self, value=value, low=low, high=high)

    def _intervals(self, passed: Sequence[int], total: Sequence[int]) -> list[Interval]:
        _require_share(passed, total)
        return _known(shares(passed, total), total)


class Rate(Ratio):
    """`passed` per `total`, which may exceed 1; its interval is Poisson's."""

    def _intervals(self, passed: Sequence[int], total: Sequence[int]) -> list[Interval]:
        return _known(rates(passed, total), total)


class BinnedRatio(StrictModel):
    """`passed` of `total` per bin, as `Ratio`; `edges` are the ascending bin edges, one more than bins."""

    edges: tuple[FiniteFloat, ...]
    passed: tuple[NonNegativeInt, ...]
    total: tuple[NonNegativeInt, ...]
    value: tuple[float | None, ...] = ()
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()

    @model_validator(mode="after")
    def _derive(self) -> Self:
        _require_bins(self.edges, passed=len(self.passed), total=len(self.total))
        value, low, high = zip(*self._intervals(self.passed, self.total), strict=True)
        return _set(self, value=value, low=low, high=high)

    def _intervals(self, passed: Sequence[int], total: Sequence[int]) -> list[Interval]:
        _require_share(passed, total)
        return _known(shares(passed, total), total)


class BinnedRate(BinnedRatio):
    """`passed` per `total` per bin, as `Rate`."""

    def _intervals(self, passed: Sequence[int], total: Sequence[int]) -> list[Interval]:
        return _known(rates(passed, total), total)


class ScoreHistogram(StrictModel):
    """Entries of true and false candidates per score bin; `quantity` names the score ("logit", "squared distance")."""

    quantity: str
    edges: tuple[FiniteFloat, ...]
    true: tuple[NonNegativeInt, ...]
    false: tuple[NonNegativeInt, ...]

    @model_validator(mode="after")
    def _bins_agree(self) -> Self:
        _require_bins(self.edges, true=len(self.true), false=len(self.false))
        return self


class RocCurve(StrictModel):
    """Efficiency (true positive rate), false positive rate and purity at each threshold on the score.

    `auc` is the area under it, `auc_error` its standard error (DeLong), edges taken as independent.
    """

    threshold: tuple[FiniteFloat, ...]
    efficiency: tuple[Probability, ...]
    false_positive_rate: tuple[Probability, ...]
    purity: tuple[Probability | None, ...]
    auc: Probability | None
    auc_error: NotNegative | None = None

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        columns = (self.efficiency, self.false_positive_rate, self.purity)
        if any(len(column) != len(self.threshold) for column in columns):
            raise ValueError("threshold, efficiency, false_positive_rate and purity differ in length")
        return self


class NetworkScores(StrictModel):
    """Scores of one network over `true` + `false` candidate edges.

    Attributes:
        true: Candidates that are true edges.
        false: Candidates that are not.
        threshold: The working point of the chain, in the score's units.
        sample: What was scored, where it is not the sample of the evaluation.
    """

    true: NonNegativeInt
    false: NonNegativeInt
    threshold: FiniteFloat | None = None
    roc: RocCurve | None = None
    scores: ScoreHistogram | None = None
    sample: str | None = None


class EdgeStage(StrictModel):
    """The graph after one stage of the chain, summed over the events.

    Attributes:
        name: Stage ("radius graph", "filter", "interaction network").
        target: True edges there are in the events, found or not: the denominator of the efficiency.
        kept: Of those, how many the graph holds.
        edges: Edges in the graph.
        unknown: Of these, edges at a hit whose origin is not known; the others are the denominator of the purity.
        hits: Hits of the events, for edges per hit.
        pt: Efficiency against the transverse momentum (GeV) of the particle of the true edge.
        eta: The same against its pseudorapidity.
        efficiency: Kept / target; derived, as the next.
        purity: Kept / edges between hits of known origin.
    """

    name: str
    target: NonNegativeInt
    kept: NonNegativeInt
    edges: NonNegativeInt
    unknown: NonNegativeInt = 0
    hits: NonNegativeInt
    pt: BinnedRatio | None = None
    eta: BinnedRatio | None = None
    efficiency: Ratio | None = None
    purity: Ratio | None = None

    @model_validator(mode="after")
    def _derive(self) -> Self:
        known = self.edges - self.unknown
        if self.kept > self.target or self.kept > known:
            raise ValueError(f"kept {self.kept} is more than target {self.target} or edges of known origin {known}")
        efficiency, purity = Ratio(passed=self.kept, total=self.target), Ratio(passed=self.kept, total=known)
        return _set(self, efficiency=efficiency, purity=purity)


class BinnedTracks(StrictModel):
    """Track figures against one variable, as in `TrackPerformance`; a rate that was not computed is null."""

    efficiency: BinnedRatio | None = None
    fake_rate: BinnedRatio | None = None
    duplicate_rate: BinnedRate | None = None


class TrackPurity(StrictModel):
    """Share of a track's hits that its majority particle made: `tracks` per bin of it, mean, standard error."""

    edges: tuple[FiniteFloat, ...]
    tracks: tuple[NonNegativeInt, ...]
    mean: Probability | None
    error: NotNegative | None

    @model_validator(mode="after")
    def _bins_agree(self) -> Self:
        _require_bins(self.edges, tracks=len(self.tracks))
        return self


class TrackMLScore(StrictModel):
    """Score of the TrackML challenge: mean over events, its standard error, and where the hit weights come from."""

    score: Probability
    error: NotNegative | None
    events: NonNegativeInt
    weights: Literal["given", "computed"]


class TrackPerformance(StrictModel):
    """Track figures with ACORN's meaning.

    Attributes:
        definition: What counts as a particle to be found, as a track, and as matched, in words.
        efficiency: Particles found, of the particles to be found.
        fake_rate: Tracks matched to no particle, of the tracks that can be judged.
        duplicate_rate: Further tracks matched to a particle already found, per particle found (may exceed 1).
        tracks_unknown: Tracks of which fewer than half of the hits are labelled; in no rate.
        fake_rate_low: Tracks that are fake whatever made the unlabelled hits, of all tracks; None where all are known.
        fake_rate_high: Tracks that are fake for some origin of the unlabelled hits, of all tracks.
        purity: Purity of the tracks that can be judged.
        trackml: TrackML score; None where truth is partial.
        pt: The rates against pT (GeV).
        eta: Against pseudorapidity.
        phi: Against azimuth (rad).
        z0: Against z (mm) of the production vertex; fakes against z at which the track meets the beam line.
        vertex_radius: Against the distance (mm) of the production vertex from the beam line.
        pile_up: Against the number of primary vertices of the event.
        pile_up_given: Whether the events say that number; False where it is counted in the particle table.
    """

    definition: str
    efficiency: Ratio
    fake_rate: Ratio
    duplicate_rate: Rate
    tracks_unknown: NonNegativeInt = 0
    fake_rate_low: Ratio | None = None
    fake_rate_high: Ratio | None = None
    purity: TrackPurity | None = None
    trackml: TrackMLScore | None = None
    pt: BinnedTracks | None = None
    eta: BinnedTracks | None = None
    phi: BinnedTracks | None = None
    z0: BinnedTracks | None = None
    vertex_radius: BinnedTracks | None = None
    pile_up: BinnedTracks | None = None
    pile_up_given: bool | None = None


class Evaluation(StrictModel):
    """`evaluation.json`: physics performance on `sample` (`events` events with `hits` hits in all)."""

    sample: str
    events: NonNegativeInt
    hits: NonNegativeInt
    networks: dict[str, NetworkScores] = Field(default_factory=dict)
    stages: tuple[EdgeStage, ...] = ()
    tracks: TrackPerformance | None = None


def _set(record: Record, **derived: object) -> Record:
    """Put derived figures into a frozen record, whatever was read in their place."""
    for name, value in derived.items():
        object.__setattr__(record, name, value)
    return record


def _known(columns: Intervals, total: Sequence[int]) -> list[Interval]:
    return [
        (float(value), float(low), float(high)) if tried else (None, None, None)
        for value, low, high, tried in zip(*columns, total, strict=True)
    ]


def _require_bins(edges: tuple[float, ...], **counts: int) -> None:
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError("edges must ascend, two at least")
    for name, count in counts.items():
        if count != len(edges) - 1:
            raise ValueError(f"{name} has {count} bins, edges has {len(edges) - 1}")


def _require_share(passed: Sequence[int], total: Sequence[int]) -> None:
    for part, whole in zip(passed, total, strict=True):
        if part > whole:
            raise ValueError(f"passed {part} is more than total {whole}")
