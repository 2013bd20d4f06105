"""The same events through both engines: the labels must be equal."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core import RunDirectory, progress
from ..fpga_backend import TritonServer, open_client
from ..fpga_backend.chain import load_config
from ..fpga_backend.ports import LOOPBACK
from ..reports.records import Latency, LatencySeries
from .layout import LABELS, Device, find_model
from .samples import read_chain_events
from .serve import ServeConfig, prepare_server
from .track import MILLISECONDS, TrackedEvent, track_event, write_labels


@dataclass(frozen=True, kw_only=True)
class EngineComparison:
    """Outcome.

    Attributes:
        requests: Requests to the server.
        labels_equal: Whether every one gave the labels of the direct engine.
        p50_ms: Median time of a request to the server.
        server: Name and version, as the server gives them.
    """

    requests: int
    labels_equal: bool
    p50_ms: float
    server: str


def compare_engines(
    run: Path, *, events: Path, names: Sequence[str], device: Device, requests: int
) -> EngineComparison:
    """Start a server on free ports, track events with both engines, and write labels and `latency.json`.

    Args:
        run: Run directory with the model; labels go to `labels/direct` and `labels/triton`.
        events: Folder of events.
        names: Events to track, in turn.
        device: Executor of both engines.
        requests: Requests to each engine.

    Returns:
        The comparison.

    Raises:
        ServiceError: The server does not start, or fails.
        DataError: The events are malformed.
        ToolError: The server or the compiler is missing.
    """
    model = find_model(run)
    samples = list(read_chain_events(events, load_config(model.chain), names=names))
    direct: list[TrackedEvent] = []
    served: list[TrackedEvent] = []
    server = prepare_server(ServeConfig(model=run, out=run, device=device, grpc_port=0, http_port=0, metrics_port=0))
    with (
        server,
        open_client("direct", chain_directory=model.chain, device=device) as in_process,
        open_client("triton", url=server.url) as remote,
    ):
        name = server_name(server)
        for client in (in_process, remote):
            track_event(client, samples[0])  # connections, metadata and page faults are not what is measured
        for number in progress(range(requests), description="track (direct and triton)"):
            event = samples[number % len(samples)]
            direct.append(track_event(in_process, event))
            served.append(track_event(remote, event))
    for engine, found in (("direct", direct), ("triton", served)):
        for tracked in found:
            write_labels(run / LABELS / engine, tracked)
    equal = all(np.array_equal(one.labels, other.labels) for one, other in zip(direct, served, strict=True))
    hits = float(np.mean([event.hits for event in served]))
    latency = Latency(
        workload=f"one event per request, {hits:,.0f} hits on average, one request at a time",
        server=name,
        series=(
            LatencySeries(model="tracking", engine="direct", samples_ms=_milliseconds(direct)),
            LatencySeries(model="tracking", engine="triton", samples_ms=_milliseconds(served)),
        ),
    )
    RunDirectory(path=run).write_json("latency.json", latency.model_dump(mode="json"))
    return EngineComparison(
        requests=len(served), labels_equal=equal, p50_ms=float(np.median(_milliseconds(served))), server=name
    )


def server_name(server: TritonServer) -> str:
    """Name and version as the running server gives them, e.g. `triton 2.51.0`."""
    connection = http.client.HTTPConnection(LOOPBACK, server.ports.http, timeout=10)
    try:
        connection.request("GET", "/v2")
        metadata = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return f"{metadata['name']} {metadata['version']}"


def _milliseconds(found: Sequence[TrackedEvent]) -> tuple[float, ...]:
    return tuple(event.seconds * MILLISECONDS for event in found)
