"""`hitfabric capacity`: from the cost of an event to the servers an experiment needs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ..core import RunDirectory, StrictModel
from .capacity_measure import Measurement, measure_chain

FEATURE_BYTES = 12
"""FEATURES: three float32 per hit."""
LABEL_BYTES = 8
"""LABELS: one int64 per hit."""
MILLISECOND = 1e-3


class RegionsConfig(StrictModel):
    """Regions of interest: the trigger names parts of the detector, and only their hits are tracked.

    Attributes:
        rate_hz: Events per second.
        per_event: Mean number of regions per event, each one request.
        fraction: Part of an event's hits that lies in one region.
    """

    rate_hz: float = Field(default=1e6, gt=0, allow_inf_nan=False)
    per_event: float = Field(default=10.0, gt=0, le=10_000, allow_inf_nan=False)
    fraction: float = Field(default=0.005, gt=0, le=1)


class MeasureConfig(StrictModel):
    """How the cost is measured.

    Attributes:
        chain: Name of a shipped chain; None takes `event-full`.
        model: Run directory of `train`, or a chain directory; instead of `chain`.
        events: Folder of events; None simulates some.
        limit: At most this many events, or so many to simulate.
        repeats: Runs of each size; the median counts.
        pile_up: Mean number of pile-up collisions of simulated events.
        generator: What simulates: `acts`, `helix` (pixel hits alone), or `auto`, ACTS where it is installed.
        threads: Threads of the chain; None takes all cores this process may use.
    """

    chain: str | None = None
    model: Path | None = None
    events: Path | None = None
    limit: int = Field(default=2, ge=1, le=1000)
    repeats: int = Field(default=3, ge=1, le=1000)
    pile_up: float = Field(default=200.0, ge=0, le=1000, allow_inf_nan=False)
    generator: Literal["acts", "helix", "auto"] = "auto"
    threads: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_chain(self) -> MeasureConfig:
        if self.chain is not None and self.model is not None:
            raise ValueError("chain and model are both given; give one")
        return self


class CapacityConfig(StrictModel):
    """Configuration of `hitfabric capacity`.

    Attributes:
        events_per_second_per_server: Known throughput of one server; None where it is measured.
        known_hits: Hits per event with which that throughput was found; None takes `spacepoints`.
        overhead_ms: Cost of a request besides its hits, with a known throughput; a measurement finds its own.
        measure: Measure the cost on this machine, now.
        measurement: How.
        spacepoints: Hits of an event of the experiment.
        full_scan_hz: Events per second that are tracked whole.
        regions: Events of which regions of interest are tracked.
        utilisation: Highest mean load of a server; the rest is for fluctuations, drains and failures.
        cores_per_server: Cores of the servers to buy, with a measurement; None takes as many as it used.
        out: Run directory for `capacity.json`; None writes nothing.
    """

    events_per_second_per_server: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    known_hits: int | None = Field(default=None, ge=1, le=10**9)
    overhead_ms: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    measure: bool = False
    measurement: MeasureConfig = MeasureConfig()
    spacepoints: int = Field(default=300_000, ge=1, le=10**9)
    full_scan_hz: float = Field(default=150e3, gt=0, allow_inf_nan=False)
    regions: RegionsConfig = RegionsConfig()
    utilisation: float = Field(default=0.7, gt=0, le=1)
    cores_per_server: int | None = Field(default=None, ge=1, le=100_000)
    out: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> CapacityConfig:
        known = self.events_per_second_per_server
        if (known is not None) == self.measure:
            raise ValueError("give either events_per_second_per_server, or measure")
        if self.measure and (self.known_hits is not None or self.overhead_ms):
            raise ValueError("known_hits and overhead_ms belong to events_per_second_per_server")
        if not self.measure and self.cores_per_server is not None:
            raise ValueError("cores_per_server belongs to measure")
        if known is not None and self.overhead_ms * MILLISECOND * known >= 1:
            raise ValueError(f"overhead_ms alone takes all the time of {known:g} events per second")
        return self


@dataclass(frozen=True, kw_only=True)
class ServerCost:
    """Time that one request takes of one server.

    Attributes:
        seconds_per_hit: Seconds per hit.
        overhead_seconds: Seconds per request besides.
    """

    seconds_per_hit: float
    overhead_seconds: float

    def seconds(self, hits: int) -> float:
        """Seconds of a request of so many hits."""
        return self.overhead_seconds + self.seconds_per_hit * hits


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one way of tracking asks for.

    Attributes:
        name: The way.
        requests_per_second: Requests of all clients.
        hits_per_request: Hits of one.
        seconds_per_request: Time it takes of one server.
        servers: Servers needed, none loaded beyond the utilisation allowed.
        requests_in_flight: Mean number of requests being computed (Little's law).
        input_bytes_per_second: FEATURES that all servers receive.
        output_bytes_per_second: LABELS that all servers send.
        input_bytes_per_second_per_server: FEATURES that one server receives.
    """

    name: str
    requests_per_second: float
    hits_per_request: int
    seconds_per_request: float
    servers: int
    requests_in_flight: float
    input_bytes_per_second: float
    output_bytes_per_second: float
    input_bytes_per_second_per_server: float


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The answer, and all it rests on.

    Attributes:
        cost: Cost of a request.
        demands: Full scan, and regions of interest.
        assumptions: One sentence each.
        measurement: What was measured, None where the throughput was given.
    """

    cost: ServerCost
    demands: tuple[Demand, ...]
    assumptions: tuple[str, ...]
    measurement: Measurement | None

    def record(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def capacity(config: CapacityConfig) -> Capacity:
    """Servers needed for a full scan and for regions of interest.

    Args:
        config: Cost or how to measure it, rates and sizes.

    Returns:
        The servers, with the assumptions.

    Raises:
        DataError: There is no such model, or no events.
        ConfigError: There is no such chain.
        ToolError: Simulation was asked of a generator that is not installed.
    """
    how = config.measurement
    measured = measure_chain(**how.model_dump()) if config.measure else None
    result = calculate(config, measured)
    if config.out is not None:
        run = RunDirectory(path=config.out)
        run.write_json("capacity.json", result.record())
        inputs = [path for path in (how.model, how.events) if config.measure and path is not None]
        run.record(command="capacity", config=config, inputs=inputs)
    return result


def calculate(config: CapacityConfig, measurement: Measurement | None) -> Capacity:
    """The same from a measurement already made, or from the throughput in the configuration."""
    cost = _known_cost(config) if measurement is None else _measured_cost(config, measurement)
    regions = config.regions
    region_hits = max(1, round(config.spacepoints * regions.fraction))
    return Capacity(
        cost=cost,
        demands=(
            demand("full scan", config.full_scan_hz, config.spacepoints, cost, config.utilisation),
            demand("regions of interest", regions.rate_hz * regions.per_event, region_hits, cost, config.utilisation),
        ),
        assumptions=tuple(_assumptions(config, measurement)),
        measurement=measurement,
    )


def demand(name: str, rate: float, hits: int, cost: ServerCost, utilisation: float) -> Demand:
    """What `rate` requests per second of `hits` hits each ask for."""
    seconds = cost.seconds(hits)
    busy = rate * seconds
    servers = max(1, math.ceil(busy / utilisation))
    return Demand(
        name=name,
        requests_per_second=rate,
        hits_per_request=hits,
        seconds_per_request=seconds,
        servers=servers,
        requests_in_flight=busy,
        input_bytes_per_second=rate * hits * FEATURE_BYTES,
        output_bytes_per_second=rate * hits * LABEL_BYTES,
        input_bytes_per_second_per_server=rate * hits * FEATURE_BYTES / servers,
    )


def _known_cost(config: CapacityConfig) -> ServerCost:
    assert config.events_per_second_per_server is not None
    overhead = config.overhead_ms * MILLISECOND
    hits = config.known_hits or config.spacepoints
    return ServerCost(
        seconds_per_hit=(1 / config.events_per_second_per_server - overhead) / hits, overhead_seconds=overhead
    )


def _measured_cost(config: CapacityConfig, measurement: Measurement) -> ServerCost:
    share = measurement.cores / (config.cores_per_server or measurement.cores)
    return ServerCost(
        seconds_per_hit=measurement.seconds_per_hit * share, overhead_seconds=measurement.overhead_seconds * share
    )


def _assumptions(config: CapacityConfig, measurement: Measurement | None) -> list[str]:
    regions = config.regions
    sentences = [
        f"an event has {config.spacepoints:,} hits, every one of them is sent, and rates and sizes are means",
        f"a region of interest holds {regions.fraction:.3g} of an event's hits, {regions.per_event:g} regions per event"
        " do not share hits, and each is a request of its own",
        "the time of a request is an overhead plus a part proportional to its hits: events are larger, not denser"
        " (in a denser event every hit has more edges and costs more)",
        f"a server is busy at most {config.utilisation:.0%} of the time on average; the rest is for fluctuations,"
        " drains and failures, and no spare server is added",
        "load balancers spread requests evenly, and the network carries the bytes of the table; protocol, encryption"
        " and decoding of raw data are not counted",
    ]
    if measurement is None:
        hits = config.known_hits or config.spacepoints
        sentences.append(
            f"one server does {config.events_per_second_per_server:g} events of {hits:,} hits per second, as given,"
            f" with an overhead of {config.overhead_ms:g} ms per request"
        )
        return sentences
    largest = max(point.hits for point in measurement.points)
    cores = config.cores_per_server or measurement.cores
    sentences += [
        f"measured: {measurement.source}, chain {measurement.chain}, in process, one event at a time on"
        f" {measurement.cores} cores of {measurement.processor}; transport and batching are not in it",
        f"the largest event measured has {largest:,} hits, those asked for {config.spacepoints / largest:.2g} times as"
        f" many; the straight line is within {measurement.worst_deviation:.0%} of every point measured",
    ]
    if cores == measurement.cores:
        sentences.append(f"a server has {cores} such cores")
    else:
        sentences.append(f"a server has {cores} such cores, and is {cores / measurement.cores:g} times as fast")
    return sentences
