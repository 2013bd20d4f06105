"""`hitfabric track`: hits to track labels, in process or through the server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv
from pydantic import Field

from ..core import ConfigError, DataError, RunDirectory, StrictModel, atomic_file, progress
from ..detector import Event
from ..fpga_backend import DEFAULT_URL, Engine, TrackingClient, open_client
from ..fpga_backend.chain import load_config
from ..reports.records import Latency, LatencySeries
from .extras import require_extra
from .layout import LABELS, Device, find_model
from .samples import ChainEvent, choose_events, read_chain_events

MILLISECONDS = 1e3


class TrackConfig(StrictModel):
    """Configuration of `hitfabric track`.

    Attributes:
        events: Folder of events in TrackML CSV layout.
        out: Run directory to write; labels go to `labels/<event>-labels.csv` (hit_id, track_id; -1 is no track).
        model: Run directory of `train`, or a chain directory; None takes the shipped weights.
        engine: `direct` (in this process) or `triton` (a server started by `hitfabric serve` with the same model).
        device: Executor of the direct engine.
        url: `host:port` of the server's gRPC protocol.
        limit: At most this many events.
        event_names: Only these events.
    """

    events: Path
    out: Path = Path("runs/track")
    model: Path | None = None
    engine: Engine = "direct"
    device: Device = "native"
    url: str = DEFAULT_URL
    limit: int | None = Field(default=None, ge=1)
    event_names: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedEvent:
    """Tracks of one event.

    Attributes:
        name: Name of the event.
        hit_id: int64 [hits] of the whole event.
        labels: int64 [hits], track of each; -1 is no track.
        hits: Hits that the chain took.
        seconds: Wall time of the request.
    """

    name: str
    hit_id: NDArray[np.int64]
    labels: NDArray[np.int64]
    hits: int
    seconds: float

    @property
    def tracks(self) -> int:
        """Number of tracks."""
        return len(np.unique(self.labels[self.labels >= 0]))


def track(config: TrackConfig) -> list[TrackedEvent]:
    """Find the tracks of every event, and write one label file per event and `latency.json`.

    Args:
        config: Events, model and engine.

    Returns:
        The events in order.

    Raises:
        DataError: No model or no events, a malformed file (file, line and column named), or no hit the chain takes.
        ServiceError: The server is not there, or serves something else.
        ToolError: The compiler or an extra is missing.
    """
    if ":" not in config.url:
        raise ConfigError(f"url {config.url!r} has no port", remedy="give host:port of the gRPC protocol")
    model = find_model(config.model)
    chain_config = load_config(model.chain)
    prefixes = choose_events(config.events, limit=config.limit, names=config.event_names)
    if config.engine == "triton":
        require_extra("serve")
    found: list[TrackedEvent] = []
    with open_client(config.engine, chain_directory=model.chain, device=config.device, url=config.url) as client:
        events = read_chain_events(config.events, chain_config, limit=config.limit, names=config.event_names)
        for event in progress(events, description=f"track ({config.engine})", total=len(prefixes)):
            tracked = track_event(client, event)
            write_labels(config.out / LABELS, tracked)
            found.append(tracked)
    run = RunDirectory(path=config.out)
    run.write_json("latency.json", _latency(config, found).model_dump(mode="json"))
    run.record(command="track", config=config, inputs=[model.chain])
    return found


def track_event(client: TrackingClient, event: ChainEvent) -> TrackedEvent:
    """Find the tracks of one event."""
    start = time.perf_counter()
    labels = client.track(event.features)
    seconds = time.perf_counter() - start
    return TrackedEvent(
        name=event.whole.name,
        hit_id=event.whole.hit_id,
        labels=event.whole_labels(labels),
        hits=len(event.rows),
        seconds=seconds,
    )


def write_labels(folder: Path, tracked: TrackedEvent) -> Path:
    """Write `<event>-labels.csv`, whole or not at all, and return its path."""
    target = folder / f"{tracked.name}-labels.csv"
    with atomic_file(target) as temporary:
        csv.write_csv(pa.table({"hit_id": tracked.hit_id, "track_id": tracked.labels}), temporary)
    return target


def read_labels(folder: Path, event: Event) -> NDArray[np.int64]:
    """Read the labels of an event in the order of its hits.

    Raises:
        DataError: The file is missing, malformed, or does not give one label to every hit.
    """
    from ..detector.csv_table import read_table

    path = folder / f"{event.name}-labels.csv"
    if not path.is_file():
        raise DataError(f"{path} does not exist", remedy="run hitfabric track on this event first")
    table = read_table(path, {"hit_id": np.int64, "track_id": np.int64})
    table.require_unique("hit_id")
    hit_id, track_id = np.asarray(table["hit_id"], np.int64), np.asarray(table["track_id"], np.int64)
    order = np.argsort(hit_id)
    if not np.array_equal(hit_id[order], np.sort(event.hit_id)):
        raise DataError(f"{path} has other hits than event {event.name}", remedy="run hitfabric track on this event")
    return track_id[order][np.searchsorted(hit_id[order], event.hit_id)]


def _latency(config: TrackConfig, found: list[TrackedEvent]) -> Latency:
    samples = tuple(event.seconds * MILLISECONDS for event in found)
    hits = np.mean([event.hits for event in found]) if found else 0
    return Latency(
        workload=f"one event per request, {hits:,.0f} hits on average",
        server=config.url if config.engine == "triton" else None,
        series=(LatencySeries(model="tracking", engine=config.engine, samples_ms=samples),),
    )
