"""Events prepared for training."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import DataError, progress
from ..detector import Event, along_particles, label_edges, list_events, read_event, truth_edges
from .training_config import DataConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingEvent:
    """Selected hits of one event, with the edges to be found.

    Attributes:
        event: The hits, their particles.
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).
        signal: int64 [edges, 2] true edges, consecutive hits of signal particles: what the radius graph must contain.
        layer_rank: int64 [hits], number of layer changes along the hit's particle (see `layer_ranks`).
        data: What is signal, and which pairs of hits come into question.
    """

    event: Event
    features: NDArray[np.float32]
    signal: NDArray[np.int64]
    layer_rank: NDArray[np.int64]
    data: DataConfig

    @classmethod
    def prepare(cls, event: Event, config: DataConfig) -> TrainingEvent:
        """Select the hits of `event` and derive its edges.

        Raises:
            DataError: No truth, or fewer than two hits or no signal edge in the selection.
        """
        selected = event if config.volumes is None else event.select(volumes=config.volumes)
        signal = truth_edges(selected, config.signal_min_pt)
        if len(selected) < 2 or len(signal) == 0:
            raise DataError(
                f"event {event.name} has {len(selected)} hits in volumes {config.volumes} and {len(signal)} true edges "
                f"above {config.signal_min_pt} GeV",
                remedy="train on other events, or lower signal_min_pt",
            )
        return cls(
            event=selected,
            features=selected.features(),
            signal=signal,
            layer_rank=layer_ranks(selected),
            data=config,
        )

    def inside(self, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which pairs of hits [P, 2] are within the geometric window, bool [P]; all where there is none."""
        window = self.data.window
        return np.ones(len(pairs), dtype=np.bool_) if window is None else window.keeps(self.features, pairs)

    def labels(self, edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the edges [E, 2] join consecutive hits of a signal particle, bool [E]; the metrics' true edges."""
        return label_edges(edge_index, self.signal)

    def used(self, edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the edges [E, 2] count in metrics, bool [E]: all but other edges within a hard enough particle."""
        return (self._pt_within(edge_index) < self.data.ignored_min_pt) | self.labels(edge_index)

    def targets(self, edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the edges [E, 2] join neighbouring layers of a signal particle, bool [E]: what is to be kept.

        Two hits in overlapping modules of one layer both join the layers before and after. With consecutive hits alone
        the track would fall apart there: at best 85 % of the particles would be found (pile-up 200, pixel hits).
        """
        step = np.abs(self.layer_rank[edge_index[:, 0]] - self.layer_rank[edge_index[:, 1]])
        return (self._pt_within(edge_index) >= self.data.signal_min_pt) & (step == 1)

    def learned(self, edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the edges [E, 2] count in losses, bool [E]: all but other edges within a hard enough particle."""
        return (self._pt_within(edge_index) < self.data.ignored_min_pt) | self.targets(edge_index)

    def _pt_within(self, edge_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Transverse momentum of the particle both ends belong to, GeV; 0 where they do not share one."""
        row = self.event.particle_row[edge_index]
        within = (row[:, 0] == row[:, 1]) & (row[:, 0] >= 0)
        return np.where(within, self.event.pt[edge_index[:, 0]], np.float32(0))


def layer_ranks(event: Event) -> NDArray[np.int64]:
    """Number of layer changes along each hit's particle, from its first hit on; int64 [hits], 0 without a particle."""
    ranks = np.zeros(len(event), dtype=np.int64)
    hits = np.flatnonzero(event.particle_row >= 0)
    if event.particles is None or len(hits) == 0:
        return ranks
    hits, particle = along_particles(event, hits)
    volume, layer = event.volume_id[hits], event.layer_id[hits]
    changes = np.cumsum(np.append(False, (volume[1:] != volume[:-1]) | (layer[1:] != layer[:-1])))
    starts = np.flatnonzero(np.append(True, particle[1:] != particle[:-1]))
    lengths = np.diff(np.append(starts, len(hits)))
    ranks[hits] = changes - np.repeat(changes[starts], lengths)
    return ranks


def load_events(directory: Path, config: DataConfig) -> tuple[list[TrainingEvent], list[TrainingEvent]]:
    """Read training and validation events.

    Args:
        directory: Events in TrackML CSV layout, with truth and particles.
        config: Which events and hits.

    Returns:
        Training events, validation events; no event is in both.

    Raises:
        DataError: Too few events, or an event without truth.
    """
    prefixes = list_events(directory)
    training = len(prefixes) - config.validation_events if config.events is None else config.events
    if training < 1 or training + config.validation_events > len(prefixes):
        raise DataError(
            f"{directory} holds {len(prefixes)} events, {max(training, 1)} + {config.validation_events} are needed",
            remedy="give more events, or lower chain.data.events (--set chain.data.events=2)",
        )
    wanted = list(islice(prefixes, training + config.validation_events))
    events = [
        TrainingEvent.prepare(read_event(prefix, require_truth=True), config)
        for prefix in progress(wanted, description="reading events")
    ]
    return events[:training], events[training:]
