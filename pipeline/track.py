"""`hitfabric track`: hits to track labels, in process or through the server."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv
from pydantic import Field, model_validator

from ..core import ConfigError, DataError, RunDirectory, atomic_file, progress
from ..core import load_config as read_yaml
from ..core.spread import in_order
from ..core.spreading import SpreadConfig, open_spread
from ..detector import Event, read_event
from ..fpga_backend import (
    DEFAULT_URL,
    ClientConfig,
    DirectConfig,
    Engine,
    InferenceClient,
    OnnxConfig,
    TrackingClient,
    TritonConfig,
    open_inference_client,
    stream,
)
from ..fpga_backend.chain import load_config
from ..fpga_backend.names import TRACKING
from ..reports.records import Latency, LatencySeries
from .extras import require_extra
from .float_onnx import export_float_chain, find_float_chain
from .layout import LABELS, Device, find_model
from .samples import ChainEvent, choose_events, read_chain_events

MILLISECONDS = 1e3


class TrackConfig(SpreadConfig):
    """Configuration of `hitfabric track`.

    Events are tracked one after the other in this process, as what is measured is the time of each; `jobs`, `dask` and
    `cluster` spread them, with the direct engine.

    Attributes:
        events: Folder of events in TrackML CSV layout.
        out: Run directory to write; labels go to `labels/<event>-labels.csv` (hit_id, track_id; -1 is no track).
        model: Run directory of `train`, or a chain directory; None takes the shipped weights.
        engine: `direct` (in this process), `triton` (a server started by `hitfabric serve` with the same model), or
            `onnx` (the float twin of the model by ONNX Runtime: a reference, not the firmware's numbers).
        device: Executor of the direct engine.
        url: `host:port` of the server's gRPC protocol.
        client: YAML of a `ClientConfig`, with everything that can be said about servers; replaces the three above.
        limit: At most this many events.
        event_names: Only these events.
    """

    events: Path
    out: Path = Path("runs/track")
    model: Path | None = None
    engine: Engine = "direct"
    device: Device = "native"
    url: str = DEFAULT_URL
    client: Path | None = None
    limit: int | None = Field(default=None, ge=1)
    event_names: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one_client(self) -> Self:
        twice = sorted({"engine", "device", "url"} & self.model_fields_set)
        if self.client is not None and twice:
            raise ValueError(f"client replaces {twice[0]}: set it in the client's file")
        if self.spreads and (self.client is not None or self.engine != "direct"):
            raise ValueError("jobs, dask and cluster spread the direct engine alone: leave out the one or the other")
        return self

    @property
    def spreads(self) -> bool:
        """Whether events go to other processes."""
        return self.where != SpreadConfig()


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
    chosen = None if config.client is None else read_yaml(ClientConfig, config.client)
    model = find_model(_model_of(config, chosen))
    chain_config = load_config(model.chain)
    prefixes = choose_events(config.events, limit=config.limit, names=config.event_names)
    found: list[TrackedEvent] = []
    with ExitStack() as stack:
        chosen = chosen or _client_config(config, model.chain, stack)
        if chosen.engine == "triton":
            require_extra("serve")
        client = open_inference_client(chosen)
        stack.callback(client.close)
        if config.spreads:
            events = _spread_out(config, model.chain, prefixes)
        else:
            read = read_chain_events(config.events, chain_config, limit=config.limit, names=config.event_names)
            events = _track_all(client, read, in_flight=chosen.in_flight)
        for tracked in progress(events, description=f"track ({chosen.engine})", total=len(prefixes)):
            write_labels(config.out / LABELS, tracked)
            found.append(tracked)
    run = RunDirectory(path=config.out)
    run.write_json("latency.json", _latency(chosen, client, found, spread=config.spreads).model_dump(mode="json"))
    inputs = [model.chain] if config.client is None else [model.chain, config.client]
    run.record(command="track", config=config, inputs=inputs)
    return found


def _spread_out(config: TrackConfig, chain: Path, prefixes: Sequence[Path]) -> Iterator[TrackedEvent]:
    """Track events in other processes; they come in order."""
    tasks = [_TrackEvent(prefix=prefix.absolute()) for prefix in prefixes]
    with (
        open_spread(config.where) as spread,
        spread.workers(
            _Tracker, DirectConfig(model=chain.absolute(), device=config.device), at_most=len(tasks)
        ) as workers,
    ):
        for _, tracked in in_order(tasks, workers):
            yield tracked


class _Tracker:
    """The chain of a worker."""

    def __init__(self, direct: DirectConfig) -> None:
        assert direct.model is not None
        self.config = load_config(direct.model)
        self.client = open_inference_client(ClientConfig(engine="direct", direct=direct, in_flight=1))


@dataclass(frozen=True, kw_only=True)
class _TrackEvent:
    """One event to be tracked."""

    prefix: Path

    @property
    def label(self) -> str:
        return self.prefix.name

    def run(self, context: _Tracker, /) -> TrackedEvent:
        event = ChainEvent.select(read_event(self.prefix, require_truth=False), context.config)
        return next(_track_all(context.client, [event], in_flight=1))


def _model_of(config: TrackConfig, client: ClientConfig | None) -> Path | None:
    """The model whose hits are asked for: that of the command, or the one a client's file computes with."""
    if config.model is not None or client is None or client.direct is None:
        return config.model
    return client.direct.model


def _client_config(config: TrackConfig, chain: Path, stack: ExitStack) -> ClientConfig:
    """The client of `engine`, `device` and `url`: one request at a time; what it needs on disk lasts as the stack."""
    if config.engine == "triton":
        return ClientConfig(engine="triton", triton=TritonConfig(servers=(config.url,)), in_flight=1)
    if config.engine == "direct":
        return ClientConfig(engine="direct", direct=DirectConfig(model=chain, device=config.device), in_flight=1)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hitfabric-onnx-"))
    exported = export_float_chain(find_float_chain(chain), Path(folder) / "chain")
    return ClientConfig(engine="onnx", onnx=OnnxConfig(model=exported), in_flight=1)


def _track_all(client: InferenceClient, events: Iterable[ChainEvent], *, in_flight: int) -> Iterator[TrackedEvent]:
    """Track events, up to `in_flight` at a time; the first error ends it."""
    drawn: deque[ChainEvent] = deque()

    def requests() -> Iterator[dict[str, NDArray[np.float32]]]:
        for event in events:
            drawn.append(event)
            yield {"FEATURES": event.features}

    for answer in stream(client, TRACKING, requests(), in_flight=in_flight, stop_on_error=True):
        yield _tracked(drawn.popleft(), answer.result()["LABELS"], answer.seconds)


def track_event(client: TrackingClient, event: ChainEvent) -> TrackedEvent:
    """Find the tracks of one event."""
    start = time.perf_counter()
    labels = client.track(event.features)
    return _tracked(event, labels, time.perf_counter() - start)


def _tracked(event: ChainEvent, labels: NDArray[np.int64], seconds: float) -> TrackedEvent:
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
    with atomic_file(target) as temporary, temporary.open("wb") as stream:  # pyarrow takes only names that are UTF-8
        csv.write_csv(pa.table({"hit_id": tracked.hit_id, "track_id": tracked.labels}), stream)
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


def _latency(config: ClientConfig, client: InferenceClient, found: list[TrackedEvent], *, spread: bool) -> Latency:
    samples = tuple(event.seconds * MILLISECONDS for event in found)
    hits = np.mean([event.hits for event in found]) if found else 0
    workload = f"one event per request, {hits:,.0f} hits on average"
    if spread:
        workload += ", other events at the same time in other processes"
    if config.in_flight > 1:
        workload += f", up to {config.in_flight} requests under way"
    if fallbacks := client.counts.read()["fallbacks"]:
        workload += f", {fallbacks} of {len(found)} computed in this process as no server answered"
    return Latency(
        workload=workload,
        server=client.description if config.engine == "triton" else None,
        series=(LatencySeries(model=TRACKING, engine=config.engine, samples_ms=samples),),
    )
