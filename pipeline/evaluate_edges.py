"""Edge figures of an evaluation: the graph after each stage of a chain, and the scores of its networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..detector import UNLABELLED, Event, embedding_features, radius_graph
from ..fpga_backend import Chain, TrackingResult
from ..models.metrics import VARIABLES, Binning, TrueEdges, combine_true_edges, find_true_edges
from ..models.training_data import TrainingEvent
from ..reports.counts import BinnedRatio
from ..reports.evaluation_record import DensityCurve, EdgeStage, NetworkScores
from .evaluate_tracks import binned_shares
from .samples import ChainEvent
from .scores import ScoreSample, network_scores

RADIUS_GRAPH, FILTER, INTERACTION_NETWORK = "radius graph", "filter", "interaction network"
STAGES = (RADIUS_GRAPH, FILTER, INTERACTION_NETWORK)
CURVE_POINTS = 60


@dataclass(kw_only=True)
class StageTotals:
    """The graph after one stage, summed over events.

    Attributes:
        true_edges: True edges of each event, and which of them the graph holds.
        edges: Edges in the graph.
        unknown: Of these, edges at a hit whose origin is not known.
    """

    true_edges: list[TrueEdges] = field(default_factory=list)
    edges: int = 0
    unknown: int = 0

    def merge(self, other: StageTotals) -> None:
        """Add what was summed over later events."""
        self.true_edges += other.true_edges
        self.edges += other.edges
        self.unknown += other.unknown

    def add(self, truth: TrainingEvent, edge_index: NDArray[np.int64]) -> None:
        """Add the graph of one event, int64 [edges, 2]."""
        self.true_edges.append(find_true_edges(truth.event, truth.signal, edge_index))
        self.edges += len(edge_index)
        self.unknown += int(np.count_nonzero(~known_edges(truth.event, edge_index)))


@dataclass(kw_only=True)
class Scored:
    """Edges that one network scored, one entry per event; edges at a hit of unknown origin count as false.

    Attributes:
        curve: Every edge: what the graph would hold at another threshold.
        judged: Edges that count in ROC curves: neither edges of softer particles nor edges of unknown origin.
    """

    curve: list[ScoreSample] = field(default_factory=list)
    judged: list[ScoreSample] = field(default_factory=list)

    def merge(self, other: Scored) -> None:
        """Add the edges of later events."""
        self.curve += other.curve
        self.judged += other.judged

    def add(self, truth: TrainingEvent, edge_index: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Add the edges of one event, int64 [edges, 2], with their logits, float32 [edges]."""
        labels = truth.labels(edge_index)
        used = truth.used(edge_index) & known_edges(truth.event, edge_index)
        self.curve.append(ScoreSample(scores=scores, labels=labels))
        self.judged.append(ScoreSample(scores=scores[used], labels=labels[used]))


@dataclass(kw_only=True)
class RadiusScan:
    """Radius graphs of other radii on some events.

    Attributes:
        radii: Radii, ascending.
        edges: int64 [radii], edges summed over events.
        kept: int64 [radii], true edges in them.
        target: True edges of these events.
        hits: Hits of these events.
    """

    radii: tuple[float, ...]
    edges: NDArray[np.int64]
    kept: NDArray[np.int64]
    target: int = 0
    hits: int = 0

    @classmethod
    def around(cls, radius: float, factors: Sequence[float]) -> RadiusScan:
        """Nothing counted yet, for a radius times each factor."""
        counts = np.zeros((2, len(factors)), dtype=np.int64)
        return cls(radii=tuple(radius * factor for factor in sorted(factors)), edges=counts[0], kept=counts[1])

    def merge(self, other: RadiusScan) -> None:
        """Add what the same radii gave for later events."""
        self.edges += other.edges
        self.kept += other.kept
        self.target += other.target
        self.hits += other.hits

    def add(self, chain: Chain, event: ChainEvent, truth: TrainingEvent) -> None:
        """Build the graphs of one event.

        Raises:
            GraphError: The largest radius gives more edges than the chain allows.
        """
        self.target += len(truth.signal)
        self.hits += len(event.rows)
        graphs = radius_graphs(chain, event.features, truth, self.radii, max_edges=chain.config.max_edges)
        for place, labels in enumerate(graphs):
            self.edges[place] += len(labels)
            self.kept[place] += int(np.count_nonzero(labels))

    def curve(self) -> DensityCurve | None:
        """The record, None where no event was added."""
        if not self.hits or not self.radii:
            return None
        return DensityCurve(
            quantity="radius",
            cut=self.radii,
            edges=tuple(self.edges.tolist()),
            kept=tuple(self.kept.tolist()),
            target=self.target,
            hits=self.hits,
        )


@dataclass(kw_only=True)
class EdgeTotals:
    """What is summed over events.

    Attributes:
        scan: Graphs of other radii, on some of the events.
        hits: Hits given to the chain.
        stages: The graph after each stage.
        scored: The edges each network scored, by the stage that it ends.
    """

    scan: RadiusScan
    hits: int = 0
    stages: dict[str, StageTotals] = field(default_factory=lambda: {name: StageTotals() for name in STAGES})
    scored: dict[str, Scored] = field(default_factory=lambda: {FILTER: Scored(), INTERACTION_NETWORK: Scored()})

    def merge(self, other: EdgeTotals) -> None:
        """Add what was summed over later events."""
        self.scan.merge(other.scan)
        self.hits += other.hits
        for name, stage in other.stages.items():
            self.stages[name].merge(stage)
        for name, scored in other.scored.items():
            self.scored[name].merge(scored)

    def add(self, chain: Chain, event: ChainEvent, truth: TrainingEvent, result: TrackingResult, *, scan: bool) -> None:
        """Add what the chain made of one event; `result` keeps the candidates, `scan` asks for other radii too."""
        candidates, logits = result.candidate_edges, result.candidate_logits
        assert candidates is not None
        assert logits is not None
        followed = result.edge_index[result.scores >= chain.config.interaction_threshold]
        for name, edge_index in zip(STAGES, (candidates, result.edge_index, followed), strict=True):
            self.stages[name].add(truth, edge_index)
        self.scored[FILTER].add(truth, candidates, logits)
        self.scored[INTERACTION_NETWORK].add(truth, result.edge_index, result.scores)
        if scan:
            self.scan.add(chain, event, truth)
        self.hits += len(event.rows)

    def networks(self, chain: Chain) -> dict[str, NetworkScores]:
        """Scores for the record, by network."""
        thresholds = {FILTER: chain.config.filter_threshold, INTERACTION_NETWORK: chain.config.interaction_threshold}
        return {
            stage.replace(" ", "_"): network_scores(self.scored[stage].judged, threshold=threshold)
            for stage, threshold in thresholds.items()
        }

    def performance(self, binning: Binning) -> tuple[EdgeStage, ...]:
        """Stages for the record."""
        return tuple(self._stage(name, binning) for name in STAGES)

    def _stage(self, name: str, binning: Binning) -> EdgeStage:
        totals = self.stages[name]
        found = combine_true_edges(totals.true_edges)
        target = len(found.kept)
        scored = self.scored.get(name)
        return EdgeStage(
            name=name,
            target=target,
            kept=int(found.kept.sum()),
            edges=totals.edges,
            unknown=totals.unknown,
            hits=self.hits,
            binned={
                variable: binned_shares(found.efficiency_in(variable, getattr(binning, variable)), BinnedRatio)
                for variable in VARIABLES
            },
            curve=self.scan.curve() if scored is None else threshold_curve(scored.curve, target=target, hits=self.hits),
        )


def radius_graphs(
    chain: Chain, features: NDArray[np.float32], truth: TrainingEvent, radii: Sequence[float], *, max_edges: int
) -> Iterator[NDArray[np.bool_]]:
    """Candidate edges of a chain for several radii, from one search at the largest.

    Args:
        chain: Chain whose embedding, window and neighbour limit are taken.
        features: float32 [hits, 3], as the chain takes them.
        truth: True edges of the event.
        radii: Radii, ascending; none yield nothing.
        max_edges: Most edges of the largest graph, before the window.

    Yields:
        For each radius bool [E], true edges among its candidates.

    Raises:
        GraphError: The largest graph has more edges.
    """
    if not radii:
        return
    config = chain.config
    embedding = chain.executors["embedding"].run({"features": embedding_features(features)})["embedding"]
    pairs = radius_graph(embedding, radii[-1], config.max_neighbours, features, max_edges=max_edges)
    if config.window is not None:
        pairs = pairs[config.window.keeps(features, pairs)]
    place = embedding.astype(np.float64)
    distance = np.linalg.norm(place[pairs[:, 0]] - place[pairs[:, 1]], axis=1)
    true = truth.labels(pairs)
    for radius in radii:
        yield true[distance <= radius]


def known_edges(event: Event, edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which edges [E, 2] join two hits of known origin, bool [E]."""
    assert event.particle_id is not None
    return (event.particle_id[edge_index] != UNLABELLED).all(axis=1)


def threshold_curve(samples: Sequence[ScoreSample], *, target: int, hits: int) -> DensityCurve | None:
    """Edges and true edges of a graph as the threshold on the score is moved, from every edge scored to few.

    Args:
        samples: Scored edges with their labels.
        target: True edges there are, scored or not.
        hits: Hits of the events.

    Returns:
        The curve at some dozens of thresholds that are edges' own scores; None where no edge was scored.
    """
    scores = np.concatenate([np.zeros(0, np.float32), *(item.scores for item in samples)])
    labels = np.concatenate([np.zeros(0, np.bool_), *(item.labels for item in samples)])
    if len(scores) == 0:
        return None
    order = np.argsort(-scores, kind="stable")
    ordered, true = scores[order], np.cumsum(labels[order])
    wanted = np.geomspace(max(1, len(scores) // 1000), len(scores), CURVE_POINTS).astype(np.int64)
    # A threshold accepts all edges of one score: up to the last of them.
    counts = np.unique(len(scores) - np.searchsorted(ordered[::-1], ordered[wanted - 1]))
    return DensityCurve(
        quantity="logit",
        cut=tuple(float(score) for score in ordered[counts - 1]),
        edges=tuple(counts.tolist()),
        kept=tuple(true[counts - 1].tolist()),
        target=target,
        hits=hits,
    )
