"""What a worker of `hitfabric evaluate` does: one event through the chain, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..detector import read_event
from ..fpga_backend import Chain
from ..models.metrics import Fiducial
from ..models.training_config import DataConfig
from ..models.training_data import TrainingEvent
from .evaluate_edges import EdgeTotals, RadiusScan
from .evaluate_tracks import TrackTotals
from .graph_sizes import ChainSizes
from .layout import LABELS, Device
from .samples import ChainEvent
from .track import read_labels


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What every worker knows.

    Attributes:
        chain: Chain directory.
        device: Executor that computes the scores.
        labels: Folder of label files; None takes the tracks of the chain.
        fiducial: Which particles should be found, and what counts as found.
        truth: Which true edges count.
        radius_factors: Radii, as shares of the chain's own, of the scan.
    """

    chain: Path
    device: Device
    labels: Path | None
    fiducial: Fiducial
    truth: DataConfig
    radius_factors: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class EventTotals:
    """What is summed over events.

    Attributes:
        edges: Of graphs and scores.
        tracks: Of tracks.
        sizes: Of the sizes of graphs.
        shown: The event to be displayed with the labels of its hits, where this was asked for.
    """

    edges: EdgeTotals
    tracks: TrackTotals
    sizes: ChainSizes = field(default_factory=ChainSizes)
    shown: tuple[ChainEvent, NDArray[np.int64]] | None = None

    @classmethod
    def nothing(cls, chain: Chain, settings: EvaluationSettings) -> EventTotals:
        """Nothing counted yet."""
        scan = RadiusScan.around(chain.config.radius, settings.radius_factors)
        return cls(edges=EdgeTotals(scan=scan), tracks=TrackTotals(cuts=settings.fiducial))

    def merge(self, other: EventTotals) -> None:
        """Add what was summed over later events."""
        self.edges.merge(other.edges)
        self.tracks.merge(other.tracks)
        self.sizes.merge(other.sizes)


class Evaluator:
    """The chain of a worker.

    Args:
        settings: What every worker knows.

    """

    def __init__(self, settings: EvaluationSettings) -> None:
        self.settings = settings
        self.chain = Chain.load(settings.chain, settings.device)


@dataclass(frozen=True, kw_only=True)
class EvaluateEvent:
    """One event to be evaluated.

    Attributes:
        prefix: The event.
        scan: Whether graphs of other radii are built.
        shown: Whether the event is wanted back for display.
    """

    prefix: Path
    scan: bool
    shown: bool

    @property
    def label(self) -> str:
        """Name of the event."""
        return self.prefix.name

    def run(self, context: Evaluator, /) -> EventTotals:
        """The event's totals.

        Raises:
            DataError: The event is malformed or has no truth, or its labels do not fit.
            GraphError: The radius graph has more edges than the chain allows.
        """
        chain, settings = context.chain, context.settings
        event = ChainEvent.select(read_event(self.prefix, require_truth=True), chain.config)
        result = chain.track(event.features, keep_candidates=True)
        totals = EventTotals.nothing(chain, settings)
        truth = TrainingEvent.prepare(event.selected, settings.truth)
        totals.edges.add(chain, event, truth, result, scan=self.scan)
        totals.sizes.add(result)
        labels = result.labels if settings.labels is None else _read_labels(settings.labels, event)
        totals.tracks.add(event.selected, labels)
        shown = (event, labels) if self.shown else None
        return replace(totals, shown=shown)


def _read_labels(directory: Path, event: ChainEvent) -> NDArray[np.int64]:
    folder = directory / LABELS if (directory / LABELS).is_dir() else directory
    return read_labels(folder, event.whole)[event.rows]
