"""`cycles.json`: clock cycles of every graph that `hitfabric validate` streamed through an RTL engine."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import NonNegativeInt, PositiveInt, RootModel, model_validator

from ..core import StrictModel
from .size_record import SizeLimit


class NetworkCycles(StrictModel):
    """Cycles of one network on one workload, without stalls, graph by graph in the order in which they were fed.

    Attributes:
        network: Name of the network.
        workload: What was streamed, in words.
        kind: How the cycles are known.
        size: What `sizes` counts.
        sizes: Edges (rows) of each graph.
        latency: Cycles of each graph alone in the engine.
        interval: Cycles between the last beats taken of successive graphs fed back to back, one fewer than graphs.
        result_interval: Cycles between the ends of successive graphs.
        limit: Largest graph of the engine.
        left_out: Graphs of the workload that are larger.
        mismatches: Integers of the outputs that differ from golden.
    """

    network: str
    workload: str
    kind: Literal["simulated"] = "simulated"
    size: Literal["edges", "rows"]
    sizes: tuple[NonNegativeInt, ...]
    latency: tuple[PositiveInt, ...]
    interval: tuple[NonNegativeInt, ...]
    result_interval: tuple[NonNegativeInt, ...]
    limit: SizeLimit | None = None
    left_out: NonNegativeInt = 0
    mismatches: NonNegativeInt

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        graphs = len(self.sizes)
        if graphs < 2 or len(self.latency) != graphs:
            raise ValueError("sizes and latency need one entry per graph, two graphs at least")
        if len(self.interval) != graphs - 1 or len(self.result_interval) != graphs - 1:
            raise ValueError("interval and result_interval need one entry fewer than graphs")
        return self


class Cycles(RootModel[tuple[NetworkCycles, ...]]):
    """`cycles.json`, one entry per network."""
