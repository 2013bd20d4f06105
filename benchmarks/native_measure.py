"""Timing: every side of a workload in turn, several times over."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from native_compare import Comparison
from native_networks import Workload
from native_sides import Call, Side
from numpy.typing import NDArray

FEWEST = 3
"""Repeats of even the slowest side."""

WARM_SECONDS = 0.2
"""A call that takes longer is not preceded by another to fill the caches."""

PEERS_AGREE = 1e-3
"""Largest difference of two float32 sides, in units of the largest output."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long to measure.

    Attributes:
        repeats: Samples of each side.
        sample_seconds: Least time of a sample; a shorter call is repeated within it.
        side_seconds: A side gets fewer repeats where its samples would take longer in all (but never below three).
        longest_seconds: A side one of whose calls is expected to take longer is left out.
        longest_reference_seconds: The same for golden and the C simulation, which cost the same for a row at any size.

    """

    repeats: int
    sample_seconds: float
    side_seconds: float
    longest_seconds: float
    longest_reference_seconds: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Times of one side on one workload.

    Attributes:
        side: Family of the side.
        variant: Variant within the family.
        network: Name of the network.
        rows: Rows; 0 for graphs.
        nodes: Mean nodes of a graph; 0 for rows.
        edges: Mean edges of a graph; 0 for rows.
        graphs: Graphs a sample goes through, one call for each; 0 for rows.
        threads: Threads.
        median: Median time of a call, in seconds.
        fastest: Shortest time of a call, in seconds.
        spread: Distance of the quartiles over the median.
        repeats: Samples.
        calls: Calls in one sample.

    """

    side: str
    variant: str
    network: str
    rows: int
    nodes: int
    edges: int
    graphs: int
    threads: int
    median: float
    fastest: float
    spread: float
    repeats: int
    calls: int

    @property
    def items(self) -> int:
        """Rows or edges."""
        return self.rows or self.edges


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A side that was not timed on a workload, and why."""

    side: str
    network: str
    items: int
    threads: int
    reason: str


@dataclass(eq=False, kw_only=True)
class _Running:
    side: Side
    calls: list[Call]
    seconds: float
    loops: int
    repeats: int
    outputs: list[NDArray[Any]]
    samples: list[float] = field(default_factory=list)


class Bench:
    """Measures sides on workloads of growing size.

    Args:
        settings: How long to measure.

    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.measurements: list[Measurement] = []
        self.skipped: list[Skip] = []
        self.comparison = Comparison()
        self._cost: dict[tuple[str, str, int], float] = {}

    def measure(
        self,
        workload: Workload,
        sides: Sequence[Side],
        *,
        threads: int,
        golden: Sequence[NDArray[np.float32]] | None = None,
    ) -> None:
        """Time the sides in turn, and compare what they give.

        Args:
            workload: Network and inputs.
            sides: Sides with `threads` threads.
            threads: For the record.
            golden: Outputs of the golden executor, one per batch; exact sides are held to them.

        """
        running = [self._start(side, workload, threads) for side in sides if self._may_run(side, workload, threads)]
        running = self._checked(running, golden, workload, threads)
        gc.collect()
        gc.disable()
        try:
            for number in range(max((each.repeats for each in running), default=0)):
                first = number % len(running)  # nobody always follows the same side
                for each in running[first:] + running[:first]:
                    if number < each.repeats:
                        each.samples.append(_sample(each))
        finally:
            gc.enable()
        for each in running:
            self.measurements.append(_measurement(each, workload, threads))
            # The fastest: one stalled call must not leave a side out of what follows.
            self._cost[each.side.name, workload.network, threads] = min(each.samples) / workload.items

    def _may_run(self, side: Side, workload: Workload, threads: int) -> bool:
        expected = self._expected(side, workload, threads)
        settings = self.settings
        limit = settings.longest_seconds if side.threaded else settings.longest_reference_seconds
        if not side.takes(workload):
            nodes, edges = side.maxima or (0, 0)
            self._skip(side, workload, threads, f"larger than the maxima of {nodes} nodes and {edges} edges")
        elif expected > limit:
            self._skip(side, workload, threads, f"about {expected:.1f} s a call expected, the limit is {limit:g} s")
        else:
            return True
        return False

    def _expected(self, side: Side, workload: Workload, threads: int) -> float:
        """Seconds of a call, from the cost of an item at the last size; 0 at the first."""
        return self._cost.get((side.name, workload.network, threads), 0.0) * workload.items

    def _skip(self, side: Side, workload: Workload, threads: int, reason: str) -> None:
        items = workload.items
        self.skipped.append(Skip(side=side.name, network=workload.network, items=items, threads=threads, reason=reason))

    def _start(self, side: Side, workload: Workload, threads: int) -> _Running:
        calls = [side.prepare(batch) for batch in workload.batches]
        if self._expected(side, workload, threads) < WARM_SECONDS:  # compiles, allocates, starts threads
            calls[0]()
        settle()
        start = time.perf_counter()
        outputs = [call() for call in calls]
        seconds = time.perf_counter() - start
        loops = max(1, math.ceil(self.settings.sample_seconds / seconds))
        repeats = max(FEWEST, min(self.settings.repeats, int(self.settings.side_seconds / (loops * seconds))))
        return _Running(side=side, calls=calls, seconds=seconds, loops=loops, repeats=repeats, outputs=outputs)

    def _checked(
        self,
        running: Sequence[_Running],
        golden: Sequence[NDArray[np.float32]] | None,
        workload: Workload,
        threads: int,
    ) -> list[_Running]:
        """Count the integers that differ; drop float sides that do not compute the network, which says so."""
        reference: list[NDArray[Any]] | None = None
        kept = []
        for each in running:
            outputs, each.outputs = each.outputs, []
            if each.side.exact and golden is not None:
                for found, expected in zip(outputs, golden, strict=True):
                    self.comparison.count(each.side.family, found, expected)
            if each.side.family.endswith("float32"):
                reference = reference or outputs
                difference = max(map(_difference, outputs, reference))
                if not difference <= PEERS_AGREE:
                    self._skip(
                        each.side, workload, threads, f"its outputs are wrong by {difference:.2g} of the largest"
                    )
                    continue
                largest = self.comparison.largest_difference
                self.comparison.largest_difference = max(largest, difference)
            kept.append(each)
        return kept


def _difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest difference over the largest output; nothing but zeros is compared as it is."""
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))


def settle(limit: float = 0.3) -> None:
    """Wait until the threads of the last side have stopped spinning for more work, which would slow the next down."""
    end = time.perf_counter() + limit
    nap, quiet = 0.003, 0.0003
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(nap)
        if time.process_time() - before < quiet:
            return


def _sample(running: _Running) -> float:
    """Mean time of a call."""
    settle()
    if running.seconds < WARM_SECONDS:
        for call in running.calls:
            call()
    start = time.perf_counter()
    for _ in range(running.loops):
        for call in running.calls:
            call()
    return (time.perf_counter() - start) / (running.loops * len(running.calls))


def _measurement(running: _Running, workload: Workload, threads: int) -> Measurement:
    samples = running.samples
    median = statistics.median(samples)
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    graph = workload.is_graph
    return Measurement(
        side=running.side.family,
        variant=running.side.variant,
        network=workload.network,
        rows=0 if graph else workload.items,
        nodes=workload.nodes,
        edges=workload.items if graph else 0,
        graphs=len(workload.batches) if graph else 0,
        threads=threads,
        median=median,
        fastest=min(samples),
        spread=(high - low) / median,
        repeats=len(samples),
        calls=running.loops * len(running.calls),
    )
