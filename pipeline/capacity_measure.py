"""Cost of a chain on this machine: seconds against hits, over whole events and wedges of them."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ..core import DataError, progress
from ..detector.simulation import SimulationConfig, simulate
from ..fpga_backend.chain import Chain
from ..models.zoo import zoo_path
from .layout import find_model
from .samples import read_chain_events

DEFAULT_CHAIN = "event-full"
WEDGES = (1, 2, 4, 16)
"""An event is measured whole, and one wedge of so many equal ones in azimuth: as many hits fewer, as dense."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One size measured.

    Attributes:
        hits: Hits of the request.
        seconds: Median wall time.
    """

    hits: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a request costs on this machine.

    Attributes:
        seconds_per_hit: Slope of the line through the points.
        overhead_seconds: Its value at no hits, never negative.
        worst_deviation: Largest relative distance of a point from the line.
        points: What was measured.
        chain: Name or folder of the chain.
        source: Where the events came from.
        processor: Model of the processor.
        cores: Threads that computed.
    """

    seconds_per_hit: float
    overhead_seconds: float
    worst_deviation: float
    points: tuple[Point, ...]
    chain: str
    source: str
    processor: str
    cores: int


def measure_chain(
    *,
    chain: str | None,
    model: Path | None,
    events: Path | None,
    limit: int,
    repeats: int,
    pile_up: float,
    generator: Literal["acts", "helix", "auto"],
    threads: int | None,
) -> Measurement:
    """Run the chain in this process on events and wedges of them; the arguments are those of `MeasureConfig`.

    Raises:
        ConfigError: There is no such chain.
        DataError: There is no such model, no events, or none with enough hits.
        ToolError: The generator is not installed.
    """
    directory = zoo_path(chain or DEFAULT_CHAIN) if model is None else find_model(model).chain
    cores = threads or len(os.sched_getaffinity(0))
    tracker = Chain.load(directory, threads=cores)
    with tempfile.TemporaryDirectory() as scratch:
        folder, source = events, f"events of {events}"
        if folder is None:
            folder = Path(scratch) / "events"
            settings = SimulationConfig(events=limit, pile_up=pile_up, generator=generator)
            made = simulate(settings, folder)
            source = f"{limit} simulated events ({made.generator}, pile-up {pile_up:g})"
        features = [each.features for each in read_chain_events(folder, tracker.config, limit=limit)]
    points = _time_wedges(tracker, features, repeats)
    slope, overhead, deviation = fit_cost(points)
    return Measurement(
        seconds_per_hit=slope,
        overhead_seconds=overhead,
        worst_deviation=deviation,
        points=tuple(points),
        chain=directory.name if model is None else str(model),
        source=source,
        processor=processor_model(),
        cores=cores,
    )


def fit_cost(points: Sequence[Point]) -> tuple[float, float, float]:
    """Line `seconds = overhead + slope * hits` with the least relative deviations, neither part negative.

    Args:
        points: At least two sizes.

    Returns:
        Seconds per hit, seconds of overhead, and the largest relative deviation of a point.

    Raises:
        DataError: All points have one size, or the time does not grow with the hits.
    """
    hits = np.array([point.hits for point in points], dtype=np.float64)
    seconds = np.array([point.seconds for point in points])
    remedy = "give larger events (--events), or more pile-up"
    if len(np.unique(hits)) < 2:
        raise DataError("the events have one size, no line goes through it", remedy=remedy)
    # Relative: a region of interest is small, and would not count beside whole events.
    scale = hits.max()
    (overhead, slope), _ = nnls(np.stack([1 / seconds, hits / scale / seconds], axis=1), np.ones(len(hits)))
    if slope <= 0:
        raise DataError("the time does not grow with the hits", remedy=remedy)
    fitted = overhead + slope * hits / scale
    return float(slope / scale), float(overhead), float(np.abs(fitted / seconds - 1).max())


def wedges(features: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The event whole, and wedges of it that have hits; each float32 [hits, 3] (r, phi, z)."""
    for count in WEDGES:
        inside = features[features[:, 1] < -np.pi + 2 * np.pi / count] if count > 1 else features
        if len(inside) > 0:
            yield np.ascontiguousarray(inside)


def processor_model() -> str:
    """Model of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), platform.processor() or platform.machine())


def _time_wedges(tracker: Chain, features: Iterable[NDArray[np.float32]], repeats: int) -> list[Point]:
    requests = [wedge for event in features for wedge in wedges(event)]
    points = []
    for request in progress(requests, description="measure"):
        tracker.track(request)  # the first run allocates
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            tracker.track(request)
            times.append(time.perf_counter() - start)
        points.append(Point(hits=len(request), seconds=float(np.median(times))))
    return points
