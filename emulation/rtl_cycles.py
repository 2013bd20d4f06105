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
        finished: int64 [graphs], cycle that took the last beat of outputs or the status, whichever came later.
    """

    entered: Integers
    finished: Integers

    @classmethod
    def of(cls, streams: Mapping[str, Beats], outputs: Iterable[str]) -> GraphCycles:
        """The cycles of a run's beats.

        Args:
            streams: Beats of every stream.
            outputs: Names of those that come out.
        """
        entered = streams[HEADER].cycle
        finished = np.zeros(len(entered), dtype=np.int64)
        for name in outputs:
            np.maximum.at(finished, streams[name].graph, streams[name].cycle)
        return cls(entered=entered, finished=finished)

    @property
    def latency(self) -> Integers:
        """Cycles from taking the header to giving the last beat, both included: that of a graph alone in the engine."""
        return self.finished - self.entered + 1

    @property
    def interval(self) -> Integers:
        """Cycles between the ends of successive graphs, one value less than graphs."""
        return np.diff(self.finished)


@dataclass(frozen=True, kw_only=True)
class CycleFigures:
    """Cycles of a workload, simulated without stalls.

    Attributes:
        graphs: Graphs measured.
        latency_p50: Median latency of one graph alone in the engine.
        latency_p95: 95th percentile.
        interval_p50: Median of the cycles between results of graphs fed back to back.
        interval_p95: 95th percentile.
        latency_max: Largest latency.
        interval_mean: Mean interval, which decides the throughput.
    """

    graphs: int
    latency_p50: int
    latency_p95: int
    interval_p50: int
    interval_p95: int
    latency_max: int
    interval_mean: float

    @classmethod
    def of(cls, latency: Integers, interval: Integers) -> CycleFigures:
        """Figures of at least two graphs; percentiles are values that occurred."""
        return cls(
            graphs=len(latency),
            latency_p50=_percentile(latency, 50),
            latency_p95=_percentile(latency, 95),
            interval_p50=_percentile(interval, 50),
            interval_p95=_percentile(interval, 95),
            latency_max=int(latency.max()),
            interval_mean=float(interval.mean()),
        )


def _percentile(values: Integers, share: float) -> int:
    return int(np.percentile(values, share, method="inverted_cdf"))
