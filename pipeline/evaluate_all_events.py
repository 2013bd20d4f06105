"""Chains over the events of a sample, each event once through each: what `hitfabric evaluate --all` counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import HitfabricError, progress
from ..core.spread import Workers
from ..detector import Event, read_event
from ..fpga_backend import Chain
from ..models.metrics import Fiducial, TrackMatching, combine, match_tracks
from ..models.training_config import DataConfig
from ..models.training_data import TrainingEvent
from .evaluate_all_models import Chains
from .evaluate_all_rows import Cell, Figure
from .evaluate_edges import FILTER, INTERACTION_NETWORK, RADIUS_GRAPH, STAGES, radius_graphs
from .samples import ChainEvent
from .scores import ScoreSample

RADII = tuple(round(0.6 + 0.05 * step, 2) for step in range(21))
"""Radii of the curve of efficiency against edges per hit, in units of the chain's own."""

SIGNAL_PT, IGNORED_PT = 1.0, 0.5
CURVE_EDGES = 20_000_000


@dataclass(kw_only=True)
class Stage:
    """A graph, summed over events: true edges in it, edges in it."""

    kept: int = 0
    edges: int = 0

    def add(self, labels: NDArray[np.bool_]) -> None:
        """Add the edges of one event, bool [E], true ones marked."""
        self.kept += int(np.count_nonzero(labels))
        self.edges += len(labels)

    @classmethod
    def total(cls, parts: Iterable[Stage]) -> Stage:
        """Several events together."""
        found = list(parts)
        return cls(kept=sum(item.kept for item in found), edges=sum(item.edges for item in found))


@dataclass(kw_only=True)
class ChainTotals:
    """What one chain did on the events of a sample.

    Attributes:
        hits: Hits given to it.
        true_edges: Edges between consecutive hits of particles of pT > 1 GeV among them.
        stages: The graph after each stage.
        curve: Radius graphs of other radii, by factor, on the first events; with the hits and true edges of these.
        curve_hits: Hits of the events of the curve.
        curve_true: True edges of them.
        candidates: Filter logits of the candidate edges, with labels, one entry per event.
        used: Which of them count in scores, one entry per event: edges of softer particles are left out.
        scores: Interaction network logits of the kept edges, with labels, those left out that do not count.
        matchings: Track matching of each event.
        seconds: Wall time by stage, summed.
        refused: Why an event could not be run; the chain is then left out of the table.
    """

    hits: int = 0
    true_edges: int = 0
    stages: dict[str, Stage] = field(default_factory=lambda: {name: Stage() for name in STAGES})
    curve: dict[float, Stage] = field(default_factory=lambda: {factor: Stage() for factor in RADII})
    curve_hits: int = 0
    curve_true: int = 0
    candidates: list[ScoreSample] = field(default_factory=list)
    used: list[NDArray[np.bool_]] = field(default_factory=list)
    scores: list[ScoreSample] = field(default_factory=list)
    matchings: list[TrackMatching] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    refused: str | None = None

    @classmethod
    def total(cls, parts: Sequence[ChainTotals]) -> ChainTotals:
        """Several events together, in order; refused if one of them was."""
        stages = sorted({name for part in parts for name in part.seconds})
        return cls(
            hits=sum(part.hits for part in parts),
            true_edges=sum(part.true_edges for part in parts),
            stages={name: Stage.total(part.stages[name] for part in parts) for name in STAGES},
            curve={factor: Stage.total(part.curve[factor] for part in parts) for factor in RADII},
            curve_hits=sum(part.curve_hits for part in parts),
            curve_true=sum(part.curve_true for part in parts),
            candidates=[item for part in parts for item in part.candidates],
            used=[item for part in parts for item in part.used],
            scores=[item for part in parts for item in part.scores],
            matchings=[item for part in parts for item in part.matchings],
            seconds={name: sum(part.seconds.get(name, 0.0) for part in parts) for name in stages},
            refused=next((part.refused for part in parts if part.refused is not None), None),
        )

    @property
    def matching(self) -> TrackMatching:
        """All events together."""
        return combine(self.matchings)

    @property
    def filter_scores(self) -> list[ScoreSample]:
        """Filter logits of the candidate edges that count, one entry per event."""
        pairs = zip(self.candidates, self.used, strict=True)
        return [ScoreSample(scores=item.scores[used], labels=item.labels[used]) for item, used in pairs]

    def edge_cell(self, stage: str, *, budget: float) -> Cell:
        """Efficiency of true edges and edges per hit after a stage, and the efficiency at `budget` edges per hit."""
        counted = self.stages[stage]
        at_budget = self._radius_at(budget) if stage == RADIUS_GRAPH else self._filter_at(budget)
        return Cell(
            figures={
                "efficiency": Figure.share(counted.kept, self.true_edges),
                "edges_per_hit": Figure.number(counted.edges / self.hits if self.hits else math.nan),
                f"efficiency_at_{budget:g}_edges_per_hit": Figure.number(at_budget),
                "purity": Figure.share(counted.kept, counted.edges),
            }
        )

    def track_cell(self) -> Cell:
        """Efficiency, fake rate and duplicate rate of tracks."""
        found = self.matching
        known = found.tracks - found.tracks_unknown
        return Cell(
            figures={
                "efficiency": Figure.share(int(np.count_nonzero(found.found)), len(found.found)),
                "fake_rate": Figure.share(known - found.matched, known),
                "duplicate_rate": Figure.number(found.duplicate_rate),
            }
        )

    def curve_points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Edges per hit and efficiency of radius graphs of growing radius; empty where no curve was taken."""
        if not self.curve_hits or not self.curve_true:
            return np.zeros(0), np.zeros(0)
        points = [(item.edges / self.curve_hits, item.kept / self.curve_true) for _, item in sorted(self.curve.items())]
        density, efficiency = np.array(points).T
        return density, efficiency

    def _radius_at(self, budget: float) -> float:
        density, efficiency = self.curve_points()
        if len(density) == 0 or not density[0] <= budget <= density[-1]:
            return math.nan
        return float(np.interp(budget, density, efficiency))

    def _filter_at(self, budget: float) -> float:
        """Efficiency if the filter's threshold were where it keeps `budget` edges per hit."""
        labels = np.concatenate([np.zeros(0, bool), *(item.labels for item in self.candidates)])
        logits = np.concatenate([np.zeros(0, np.float32), *(item.scores for item in self.candidates)])
        count = int(budget * self.hits)
        if not self.true_edges or count == 0 or count > len(logits):
            return math.nan
        best = np.argpartition(-logits, count - 1)[:count]
        return float(np.count_nonzero(labels[best]) / self.true_edges)


def run_chains(
    workers: Workers[Chains],
    workloads: Sequence[str],
    prefixes: Sequence[Path],
    *,
    fiducial: Fiducial,
    curve_events: int,
    description: str,
) -> dict[str, dict[str, ChainTotals]]:
    """Run every chain on every event.

    Args:
        workers: Processes that have the chains.
        workloads: Their names.
        prefixes: Events with truth and particles.
        fiducial: Cuts of the track metrics.
        curve_events: On how many of the events the curve of radii is taken.
        description: Of the progress bar.

    Returns:
        Totals by workload and column; a chain that is missing has none.

    Raises:
        DataError: An event is malformed.
        ToolError: Two worker processes died of the same event.
    """
    tasks = [
        EventTask(prefix=prefix.absolute(), workload=workload, fiducial=fiducial, curve=number < curve_events)
        for number, prefix in enumerate(prefixes)
        for workload in workloads
    ]
    parts = dict(progress(workers.run(tasks), description=description, total=len(tasks)))
    found: dict[str, dict[str, ChainTotals]] = {}
    for workload in workloads:
        outcomes = [parts[task] for task in tasks if task.workload == workload]
        columns = outcomes[0] if outcomes else ()
        found[workload] = {column: ChainTotals.total([outcome[column] for outcome in outcomes]) for column in columns}
    return found


@dataclass(frozen=True, kw_only=True)
class EventTask:
    """One event through the chains of one workload, in a worker process.

    Attributes:
        prefix: The event.
        workload: Which chains.
        fiducial: Cuts of the track metrics.
        curve: Whether the curve of radii is taken.
    """

    prefix: Path
    workload: str
    fiducial: Fiducial
    curve: bool

    @property
    def label(self) -> str:
        """Event and workload."""
        return f"{self.prefix.name} ({self.workload})"

    def run(self, context: Chains, /) -> dict[str, ChainTotals]:
        """Totals of this event by column; a chain that refuses the event says why."""
        event = read_whole(self.prefix)
        found: dict[str, ChainTotals] = {}
        for column, contender in context[self.workload].items():
            if contender.model is None:
                continue
            try:
                found[column] = event_totals(contender.model, event, fiducial=self.fiducial, curve=self.curve)
            except HitfabricError as error:
                found[column] = ChainTotals(refused=str(error))
        return found


def read_whole(prefix: Path) -> Event:
    """Read an event with truth, its vertices to be counted: not every sample says how many there were."""
    return replace(read_event(prefix, require_truth=True), pile_up=None)


def event_totals(chain: Chain, event: Event, *, fiducial: Fiducial, curve: bool) -> ChainTotals:
    """Run one event through a chain and count what came of it.

    Raises:
        DataError: The event has no truth or no hit in the chain's volumes.
        GraphError: The radius graph has more edges than the chain allows.
    """
    taken = ChainEvent.select(event, chain.config)
    truth = TrainingEvent.prepare(
        taken.selected, DataConfig(volumes=None, signal_min_pt=SIGNAL_PT, ignored_min_pt=IGNORED_PT)
    )
    result = chain.track(taken.features, keep_candidates=True)
    candidates, logits = result.candidate_edges, result.candidate_logits
    assert candidates is not None and logits is not None  # as asked for
    true, kept_true = truth.labels(candidates), truth.labels(result.edge_index)
    used = truth.used(result.edge_index)
    totals = ChainTotals(
        hits=len(taken.rows),
        true_edges=len(truth.signal),
        candidates=[ScoreSample(scores=logits, labels=true)],
        used=[truth.used(candidates)],
        scores=[ScoreSample(scores=result.scores[used], labels=kept_true[used])],
        matchings=[match_tracks(taken.selected, result.labels, fiducial=fiducial)],
        seconds=dict(result.seconds),
    )
    totals.stages[RADIUS_GRAPH].add(true)
    totals.stages[FILTER].add(kept_true)
    totals.stages[INTERACTION_NETWORK].add(kept_true[result.scores >= chain.config.interaction_threshold])
    if curve:
        totals.curve_hits, totals.curve_true = totals.hits, totals.true_edges
        radii = [chain.config.radius * factor for factor in RADII]
        limit = max(chain.config.max_edges, CURVE_EDGES)
        graphs = radius_graphs(chain, taken.features, truth, radii, max_edges=limit)
        for factor, labels in zip(RADII, graphs, strict=True):
            totals.curve[factor].add(labels)
    return totals
