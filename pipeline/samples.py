"""Events as the chain sees them: the hits of the volumes it was trained on, and where they came from."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from ..detector import NO_TRACK, Event, GraphSample, interaction_features, list_events, read_event, read_graphs
from ..fpga_backend import ChainConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class ChainEvent:
    """One event, and the part of it that the chain takes.

    Attributes:
        whole: All hits.
        rows: int64, rows of `whole` that the chain takes.
        selected: The event of these hits.
        features: float32 [rows, 3]: r (mm), phi (rad), z (mm).
    """

    whole: Event
    rows: NDArray[np.int64]
    selected: Event
    features: NDArray[np.float32]

    @classmethod
    def select(cls, event: Event, config: ChainConfig) -> ChainEvent:
        """Take the hits of the chain's volumes.

        Raises:
            DataError: None is left, or a position is not finite.
        """
        inside = np.isin(event.volume_id, config.volumes) if config.volumes else np.ones(len(event), dtype=bool)
        rows = np.flatnonzero(inside)
        if len(rows) == 0:
            raise DataError(
                f"event {event.name} has no hit in the chain's volumes {list(config.volumes)}",
                remedy="give events of the detector the chain was trained on",
            )
        selected = event.take(rows)
        return cls(whole=event, rows=rows, selected=selected, features=selected.features())

    def whole_labels(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels of all hits of the event from those of the selected ones; hits not selected are on no track."""
        result = np.full(len(self.whole), NO_TRACK, dtype=np.int64)
        result[self.rows] = labels
        return result


def read_chain_events(
    directory: Path,
    config: ChainConfig,
    *,
    limit: int | None = None,
    names: Collection[str] | None = None,
    require_truth: bool = False,
) -> Iterator[ChainEvent]:
    """Read events one by one.

    Args:
        directory: Folder of events in TrackML CSV layout.
        config: The chain's configuration.
        limit: At most this many.
        names: Only these.
        require_truth: Refuse events without truth and particles.

    Raises:
        DataError: No such folder or event, or a malformed file (file, line and column named).
    """
    for prefix in choose_events(directory, limit=limit, names=names):
        yield ChainEvent.select(read_event(prefix, require_truth=require_truth), config)


def check_readable(*, events: Path | None, graphs: Path | None, names: Collection[str] | None = None) -> None:
    """Read the first event and graph, so that what is missing or malformed is said before longer work begins.

    Raises:
        DataError: No such folder or event, or a malformed file.
    """
    if events is not None:
        for prefix in choose_events(events, limit=1, names=names):
            read_event(prefix, require_truth=False)
    if graphs is not None:
        next(read_graphs(graphs))


def choose_events(directory: Path, *, limit: int | None = None, names: Collection[str] | None = None) -> list[Path]:
    """Prefixes of the events wanted, sorted.

    Raises:
        DataError: No such folder, or an event named is not in it.
    """
    prefixes = list_events(directory)
    if names is not None:
        known = {prefix.name for prefix in prefixes}
        for name in names:
            if name not in known:
                raise DataError(f"{directory} holds no event {name}", remedy=f"choose among {', '.join(sorted(known))}")
        prefixes = [prefix for prefix in prefixes if prefix.name in set(names)]
    return prefixes[:limit]


def event_graph(
    name: str, features: NDArray[np.float32], edge_index: NDArray[np.int64], config: ChainConfig
) -> GraphSample:
    """The graph that the interaction network sees: hits without an edge are left out.

    Args:
        name: Name of the event.
        features: float32 [hits, 3].
        edge_index: int64 [E, 2], hits of each edge.
        config: The chain's configuration.

    Returns:
        The graph, without truth.
    """
    hits, places = np.unique(edge_index, return_inverse=True)
    places = places.reshape(-1, 2).astype(np.int64)
    nodes, edges = interaction_features(features[hits], places, kind=config.edge_inputs, scales=config.scales)
    return GraphSample(
        name=name,
        nodes=nodes,
        edges=edges,
        edge_index=places,
        labels=np.zeros(len(edge_index), dtype=np.bool_),
        particle_id=np.zeros(len(hits), dtype=np.int64),
    )
