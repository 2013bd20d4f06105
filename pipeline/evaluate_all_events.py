"""One chain over the events of a sample: what `hitfabric evaluate --all` counts. Each event goes through it once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import HitfabricError, progress
from ..detector import Event, read_event
from ..fpga_backend import Chain
from ..models.metrics import Fiducial, TrackMatching, combine, match_tracks
from ..models.training_config import DataConfig
from ..models.training_data import TrainingEvent
from .evaluate_all_models import Contender
from .evaluate_all_rows import Cell, Figure
from .samples import ChainEvent
from .scores import ScoreSample

STAGES = ("radius graph", "filter", "interaction network")
RADII = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35)
"""Radii of the curve of efficiency against edges per hit, in units of the chain's own."""

SIGNAL_PT, IGNORED_PT = 1.0, 0.5
CURVE_EDGES = 10_000_000


@dataclass(kw_only=True)
class Stage:
    """A graph, summed over events: true edges in it, edges in it."""

    kept: int = 0
    edges: int = 0

    def add(self, labels: NDArray[np.bool_]) -> None:
        """Add the edges of one event, bool [E], true ones marked."""
        self.kept += int(np.count_nonzero(labels))
        self.edges += len(labels)


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
        logits: Filter logits of the candidate edges, with labels, one entry per event.
        scores: Interaction network logits of the kept edges, with labels, edges of softer particles left out.
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
    logits: list[ScoreSample] = field(default_factory=list)
    filter_scores: list[ScoreSample] = field(default_factory=list)
    scores: list[ScoreSample] = field(default_factory=list)
    matchings: list[TrackMatching] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    refused: str | None = None

    @property
    def matching(self) -> TrackMatching:
        """All events together."""
        return combine(self.matchings)

    def edge_cell(self, stage: str, *, budget: float) -> Cell:
        """Efficiency of true edges and edges per hit after a stage, and the efficiency at `budget` edges per hit."""
        counted = self.stages[stage]
        at_budget = self._radius_at(budget) if stage == "radius graph" else self._filter_at(budget)
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
        unique = int(np.count_nonzero(found.found))
        return Cell(
            figures={
                "efficiency": Figure.share(unique, len(found.found)),
                "fake_rate": Figure.share(found.tracks - found.matched, found.tracks),
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
        labels = np.concatenate([np.zeros(0, bool), *(item.labels for item in self.logits)])
        logits = np.concatenate([np.zeros(0, np.float32), *(item.scores for item in self.logits)])
        count = int(budget * self.hits)
        if not self.true_edges or count == 0 or count > len(logits):
            return math.nan
        best = np.argpartition(-logits, count - 1)[:count]
        return float(np.count_nonzero(labels[best]) / self.true_edges)


def run_chains(
    chains: Mapping[str, Mapping[str, Contender[Chain]]],
    prefixes: Sequence[Path],
    *,
    fiducial: Fiducial,
    curve_events: int,
    description: str,
) -> dict[str, dict[str, ChainTotals]]:
    """Run every chain on every event, one event in memory at a time.

    Args:
        chains: Chains by workload and column.
        prefixes: Events with truth and particles.
        fiducial: Cuts of the track metrics.
        curve_events: On how many of the events the curve of radii is taken.
        description: Of the progress bar.

    Returns:
        Totals by workload and column; a chain that is missing has none.
    """
    totals = {
        workload: {column: ChainTotals() for column, item in columns.items() if item.model is not None}
        for workload, columns in chains.items()
    }
    work = [
        (number, prefix, workload, column)
        for number, prefix in enumerate(prefixes)
        for workload, columns in totals.items()
        for column in columns
    ]
    event, read = None, None
    for number, prefix, workload, column in progress(work, description=description):
        if read != prefix:
            event, read = read_event(prefix, require_truth=True), prefix
        assert event is not None
        found = totals[workload][column]
        chain = chains[workload][column].model
        if chain is None or found.refused is not None:
            continue
        try:
            add_event(found, chain, event, fiducial=fiducial, curve=number < curve_events)
        except HitfabricError as error:
            found.refused = str(error)
    return totals


def add_event(totals: ChainTotals, chain: Chain, event: Event, *, fiducial: Fiducial, curve: bool) -> None:
    """Run one event through the chain and add what came of it.

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
    true, used = truth.labels(candidates), truth.used(candidates)
    kept_true = truth.labels(result.edge_index)
    totals.hits += len(taken.rows)
    totals.true_edges += len(truth.signal)
    totals.stages["radius graph"].add(true)
    totals.stages["filter"].add(kept_true)
    totals.stages["interaction network"].add(kept_true[result.scores >= chain.config.interaction_threshold])
    totals.logits.append(ScoreSample(scores=logits, labels=true))
    totals.filter_scores.append(ScoreSample(scores=logits[used], labels=true[used]))
    used = truth.used(result.edge_index)
    totals.scores.append(ScoreSample(scores=result.scores[used], labels=kept_true[used]))
    totals.matchings.append(match_tracks(taken.selected, result.labels, fiducial=fiducial))
    for stage, seconds in result.seconds.items():
        totals.seconds[stage] = totals.seconds.get(stage, 0.0) + seconds
    if curve:
        totals.curve_hits += len(taken.rows)
        totals.curve_true += len(truth.signal)
        for factor, stage in totals.curve.items():
            edges = candidates if factor == 1.0 else _wider(chain, factor).candidate_edges(taken.features)
            stage.add(true if factor == 1.0 else truth.labels(edges))


def _wider(chain: Chain, factor: float) -> Chain:
    """The same chain with another radius, for its candidate edges only."""
    changed = {"radius": chain.config.radius * factor, "max_edges": max(chain.config.max_edges, CURVE_EDGES)}
    return replace(chain, config=chain.config.model_copy(update=changed))
