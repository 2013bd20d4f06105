"""Clock cycles per graph, counted in simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..hls_projects.rtl_simulation_streams import Beats
from .rtl_beats import HEADER

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphCycles:
    """When the graphs of one run went in and came out.

    Attributes:
        entered: int64 [graphs], cycle that took the header.
        taken: int64 [graphs], cycle that took the last beat of the inputs.
        finished: int64 [graphs], cycle that took the last beat of outputs or the status, whichever came later.
    """

    entered: Integers
    taken: Integers
    finished: Integers

    @classmethod
    def of(cls, streams: Mapping[str, Beats], outputs: Iterable[str]) -> GraphCycles:
        """The cycles of a run's beats.

        Args:
            streams: Beats of every stream.
            outputs: Names of those that come out.
        """
        entered = streams[HEADER].cycle
        leaving = set(outputs)
        last = {True: np.zeros(len(entered), dtype=np.int64), False: entered.copy()}
        for name, beats in streams.items():
            np.maximum.at(last[name in leaving], beats.graph, beats.cycle)
        return cls(entered=entered, taken=last[False], finished=last[True])

    @property
    def latency(self) -> Integers:
        """Cycles from taking the header to giving the last beat, both included: that of a graph alone in the engine."""
        return self.finished - self.entered + 1

    @property
    def interval(self) -> Integers:
        """Initiation interval: cycles between the last beats taken of successive graphs, one value less than graphs."""
        return np.diff(self.taken)

    @property
    def result_interval(self) -> Integers:
        """Cycles between the ends of successive graphs, one value less than graphs.

        Graphs of one size come out as they go in; a large one behind a small one comes out later than it went in.
        """
        return np.diff(self.finished)


@dataclass(frozen=True, kw_only=True)
class CycleFigures:
    """Cycles of a workload, simulated without stalls.

    Attributes:
        graphs: Graphs measured.
        latency_p50: Median latency of one graph alone in the engine.
        latency_p95: 95th percentile.
        interval_p50: Median of the initiation interval of graphs fed back to back.
        interval_p95: 95th percentile.
        result_interval_p50: Median of the cycles between their results.
        result_interval_p95: 95th percentile.
        latency_max: Largest latency.
        interval_mean: Mean of the cycles between results, which decides the throughput.
    """

    graphs: int
    latency_p50: int
    latency_p95: int
    interval_p50: int
    interval_p95: int
    result_interval_p50: int
    result_interval_p95: int
    latency_max: int
    interval_mean: float

    @classmethod
    def of(cls, alone: GraphCycles, streamed: GraphCycles) -> CycleFigures:
        """Figures of two graphs or more, alone and back to back; percentiles are values that occurred."""
        latency, interval, results = alone.latency, streamed.interval, streamed.result_interval
        return cls(
            graphs=len(latency),
            latency_p50=_percentile(latency, 50),
            latency_p95=_percentile(latency, 95),
            interval_p50=_percentile(interval, 50),
            interval_p95=_percentile(interval, 95),
            result_interval_p50=_percentile(results, 50),
            result_interval_p95=_percentile(results, 95),
            latency_max=int(latency.max()),
            interval_mean=float(results.mean()),
        )


def _percentile(values: Integers, share: float) -> int:
    return int(np.percentile(values, share, method="inverted_cdf"))
