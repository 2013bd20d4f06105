"""What the benchmark of serving writes: the schema of its JSON file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hitfabric.core import StrictModel

Side = Literal["direct", "custom", "custom_shared", "python", "ensemble"]
SIDES: dict[str, str] = {
    "direct": "direct, in process",
    "custom": "custom backend",
    "custom_shared": "custom backend, shared memory",
    "python": "Python backend",
    "ensemble": "ensemble of three steps, Python backend",
}


class Row(StrictModel):
    """One measurement.

    Attributes:
        payload: Name of the payload.
        model: Model it is for.
        items: Rows or hits of a request.
        side: Who computes.
        instances: Instances of the model; of the ensemble, of each step.
        concurrency: Requests under way at a time.
        turn: Number of the measurement, where there are several of the same.
        requests: Requests answered, with those before the first window.
        errors: Requests answered with an error.
        requests_per_s: Throughput.
        p50_ms: Median latency as the client sees it.
        p90_ms: Nine of ten requests were faster.
        p99_ms: 99 of 100 requests were faster.
        cpu_ms: Processor time of the server and its workers for a request; of `direct`, of this process.
        client_send_us: Mean time to write a request; None of `direct`, as all below.
        network_us: Mean time in gRPC and the kernel, on both sides.
        queue_us: Mean time in the server's queue.
        compute_input_us: Mean time in which the backend gathers inputs.
        compute_infer_us: Mean time in which the backend computes; our workers take and give their tensors in it.
        compute_output_us: Mean time in which the backend writes outputs.
        client_receive_us: Mean time to read an answer.
    """

    payload: str
    model: str
    items: int = Field(ge=1)
    side: Side
    instances: int = Field(ge=1)
    concurrency: int = Field(ge=1)
    turn: int = Field(ge=0)
    requests: int = Field(ge=0)
    errors: int = Field(ge=0)
    requests_per_s: float = Field(gt=0)
    p50_ms: float = Field(gt=0)
    p90_ms: float = Field(gt=0)
    p99_ms: float = Field(gt=0)
    cpu_ms: float = Field(ge=0)
    client_send_us: float | None = None
    network_us: float | None = None
    queue_us: float | None = None
    compute_input_us: float | None = None
    compute_infer_us: float | None = None
    compute_output_us: float | None = None
    client_receive_us: float | None = None


class Target(StrictModel):
    """A number to reach.

    Attributes:
        name: What it is about, in words.
        payload: Name of the payload.
        measured: What was measured.
        limit: What it must not exceed, or must reach.
        unit: Unit of both.
        at_most: Whether the limit is an upper one.
        met: Whether it is kept.
    """

    name: str
    payload: str
    measured: float
    limit: float
    unit: str
    at_most: bool
    met: bool


class Report(StrictModel):
    """The JSON file.

    Attributes:
        machine: Processor, cores, load before the first measurement.
        versions: Of what was measured and of what measured it.
        settings: How it was measured: threads, windows, event, payloads.
        equal: Outputs compared with those of `direct` before timing, by payload and side: all were the same.
        rows: Measurements.
        targets: Targets.
    """

    machine: dict[str, Any]
    versions: dict[str, str]
    settings: dict[str, Any]
    equal: dict[str, dict[str, list[str]]]
    rows: list[Row]
    targets: list[Target]
