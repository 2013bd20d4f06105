"""Events prepared for training."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import DataError, progress
from ..detector import Event, label_edges, list_events, read_event, truth_edges
from .training_config import DataConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingEvent:
    """Selected hits of one event, with the edges to be found.

    Attributes:
        event: The hits, their particles.
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).
        signal: int64 [edges, 2] true edges of signal particles.
        ignored_min_pt: Other edges within one particle above this (GeV) are neither signal nor background: they skip a
            layer of a signal track, which does no harm, or belong to a particle near the threshold.
    """

    event: Event
    features: NDArray[np.float32]
    signal: NDArray[np.int64]
    ignored_min_pt: float

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
        return cls(event=selected, features=selected.features(), signal=signal, ignored_min_pt=config.ignored_min_pt)

    def labels(self, edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the edges [E, 2] are signal, bool [E]."""
        return label_edges(edge_index, self.signal)

    def used(self, edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the edges [E, 2] count in losses, bool [E]."""
        row = self.event.particle_row[edge_index]
        within = (row[:, 0] == row[:, 1]) & (row[:, 0] >= 0)
        hard = np.nan_to_num(self.event.pt[edge_index[:, 0]]) >= self.ignored_min_pt
        return ~(within & hard) | self.labels(edge_index)


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
            remedy="give more events or lower data.events",
        )
    wanted = list(islice(prefixes, training + config.validation_events))
    events = [
        TrainingEvent.prepare(read_event(prefix, require_truth=True), config)
        for prefix in progress(wanted, description="reading events")
    ]
    return events[:training], events[training:]
