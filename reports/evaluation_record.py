"""`evaluation.json`: what `hitfabric evaluate` measured; `counts.py` has the shares and rates it is made of."""

from __future__ import annotations

from typing import Self

from pydantic import Field, FiniteFloat, NonNegativeInt, model_validator

from ..core import StrictModel
from ..models.metrics import Variable
from .counts import (
    BinnedMean,
    BinnedRate,
    BinnedRatio,
    NotNegative,
    Probability,
    Rate,
    Ratio,
    known_intervals,
    require_bins,
    require_share,
    set_derived,
)
from .size_record import GraphSizes
from .statistics import shares


class ScoreHistogram(StrictModel):
    """Entries of true and false candidates per score bin; `quantity` names the score ("logit", "squared distance")."""

    quantity: str
    edges: tuple[FiniteFloat, ...]
    true: tuple[NonNegativeInt, ...]
    false: tuple[NonNegativeInt, ...]

    @model_validator(mode="after")
    def _bins_agree(self) -> Self:
        require_bins(self.edges, true=len(self.true), false=len(self.false))
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


class DensityCurve(StrictModel):
    """Size of a graph against the true edges it holds, as a cut of its stage is moved.

    Attributes:
        quantity: The cut ("radius", "logit").
        cut: Its values.
        edges: Edges in the graph at each.
        kept: True edges in it.
        target: True edges there are.
        hits: Hits of the events, for edges per hit; the curve may be of fewer events than the stage.
        edges_per_hit: Derived, as the next three; None without hits (without true edges).
        efficiency: Kept / target.
        low: Lower bound of its Clopper-Pearson interval.
        high: Upper bound.
    """

    quantity: str
    cut: tuple[FiniteFloat, ...]
    edges: tuple[NonNegativeInt, ...]
    kept: tuple[NonNegativeInt, ...]
    target: NonNegativeInt
    hits: NonNegativeInt
    edges_per_hit: tuple[float | None, ...] = ()
    efficiency: tuple[float | None, ...] = ()
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()

    @model_validator(mode="after")
    def _derive(self) -> Self:
        points, target = len(self.cut), [self.target] * len(self.cut)
        if points == 0 or len(self.edges) != points or len(self.kept) != points:
            raise ValueError("cut, edges and kept need one entry per point, one point at least")
        require_share(self.kept, target)
        require_share(self.kept, self.edges)
        efficiency, low, high = zip(*known_intervals(shares(self.kept, target), target), strict=True)
        density = tuple(count / self.hits if self.hits else None for count in self.edges)
        return set_derived(self, edges_per_hit=density, efficiency=efficiency, low=low, high=high)


class EdgeStage(StrictModel):
    """The graph after one stage of the chain, summed over the events.

    Attributes:
        name: Stage ("radius graph", "filter", "interaction network").
        target: True edges there are in the events, found or not: the denominator of the efficiency.
        kept: Of those, how many the graph holds.
        edges: Edges in the graph.
        unknown: Of these, edges at a hit whose origin is not known; the others are the denominator of the purity.
        hits: Hits of the events, for edges per hit.
        binned: Efficiency by variable of the particle of the true edge, as in `TrackPerformance`.
        curve: Efficiency against edges per hit, over the cut of the stage; its working point is not marked.
        efficiency: Kept / target; derived, as the next.
        purity: Kept / edges between hits of known origin.
    """

    name: str
    target: NonNegativeInt
    kept: NonNegativeInt
    edges: NonNegativeInt
    unknown: NonNegativeInt = 0
    hits: NonNegativeInt
    binned: dict[Variable, BinnedRatio] = Field(default_factory=dict)
    curve: DensityCurve | None = None
    efficiency: Ratio | None = None
    purity: Ratio | None = None

    @model_validator(mode="after")
    def _derive(self) -> Self:
        known = self.edges - self.unknown
        if self.kept > self.target or self.kept > known:
            raise ValueError(f"kept {self.kept} is more than target {self.target} or edges of known origin {known}")
        efficiency, purity = Ratio(passed=self.kept, total=self.target), Ratio(passed=self.kept, total=known)
        return set_derived(self, efficiency=efficiency, purity=purity)


class BinnedTracks(StrictModel):
    """Track figures against one variable, as in `TrackPerformance`; what has no meaning for the variable is null."""

    efficiency: BinnedRatio | None = None
    fake_rate: BinnedRatio | None = None
    duplicate_rate: BinnedRate | None = None
    purity: BinnedMean | None = None


class TrackPurity(StrictModel):
    """Share of a track's hits that its majority particle made: `tracks` per bin of it, mean, standard error."""

    edges: tuple[FiniteFloat, ...]
    tracks: tuple[NonNegativeInt, ...]
    mean: Probability | None
    error: NotNegative | None

    @model_validator(mode="after")
    def _bins_agree(self) -> Self:
        require_bins(self.edges, tracks=len(self.tracks))
        return self


class TrackMLScore(StrictModel):
    """Score of the TrackML challenge on the hits given to the chain: mean over events, and its standard error."""

    score: Probability
    error: NotNegative | None
    events: NonNegativeInt


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
        binned: The figures by variable. `pt` is in GeV; `phi` in rad; `z0` (mm) is that of the production vertex, and
            for tracks where they meet the beam line; `vertex_radius` (mm) is the distance of the production vertex from
            the beam line; `pile_up` is the number of primary vertices of the event.
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
    binned: dict[Variable, BinnedTracks] = Field(default_factory=dict)
    pile_up_given: bool | None = None


class Evaluation(StrictModel):
    """`evaluation.json`: physics performance on `sample` (`events` events with `hits` hits in all).

    `graphs` are the sizes of the graphs that the networks see.
    """

    sample: str
    events: NonNegativeInt
    hits: NonNegativeInt
    networks: dict[str, NetworkScores] = Field(default_factory=dict)
    stages: tuple[EdgeStage, ...] = ()
    tracks: TrackPerformance | None = None
    graphs: tuple[GraphSizes, ...] = ()
