"""How a network becomes RTL: sizes, lanes, register spacing, and what its memories are made of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ..core import GraphError, StrictModel
from ..quantization import Maxima, TypedGraph

MOST_LANES = 64
LARGEST_MAXIMUM = 1 << 15  # counts travel in 16 bits, one of which keeps a size beyond the maximum apart

Scatter = Literal["banked", "ordered"]
MemoryStyle = Literal["block", "distributed"]


class RtlConfig(StrictModel):
    """Parameters of the RTL engine.

    Attributes:
        maxima: Most nodes and edges of one graph; None takes those of the network.
        edge_lanes: Edges per cycle of every pass over edges.
        node_lanes: Nodes per cycle of the stream of nodes, a power of two: node memories have one bank for each.
        update_lanes: Nodes per cycle of the passes that update nodes, a power of two; None takes half of
            `node_lanes`, as graphs have more edges than nodes.
        row_lanes: Rows per cycle of a network of independent rows.
        clock_ns: Clock period that figures in time assume, ns.
        register_spacing: Levels of adders between two registers of a core (da4ml's latency cutoff).
        scatter: `banked` (an accumulator memory per edge lane, edges in any order) or `ordered` (edges ascend by
            destination, so that each node is written once; `RtlProject.edge_order` names the column).
        node_memory: What holds node features for gathering: block RAM, or distributed RAM made of LUTs.
        edge_memory: What holds edge features and indices between passes.
        solver_seconds: Longest time the solver of one core may take before the plain shift-add form is used, s.
    """

    maxima: Maxima | None = None
    edge_lanes: int = Field(default=8, ge=1, le=MOST_LANES)
    node_lanes: int = Field(default=8, ge=1, le=MOST_LANES)
    update_lanes: int | None = Field(default=None, ge=1, le=MOST_LANES)
    row_lanes: int = Field(default=1, ge=1, le=MOST_LANES)
    clock_ns: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    register_spacing: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    scatter: Scatter = "banked"
    node_memory: MemoryStyle = "block"
    edge_memory: MemoryStyle = "block"
    solver_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)

    @field_validator("node_lanes", "update_lanes")
    @classmethod
    def _power_of_two(cls, lanes: int | None) -> int | None:
        if lanes is not None and lanes & (lanes - 1):
            raise ValueError(f"{lanes} node lanes; give a power of two, as the bank of a node is a part of its index")
        return lanes

    def sized(self, graph: TypedGraph) -> TypedGraph:
        """The network for the maxima asked for, every range derived for them.

        Raises:
            GraphError: The maxima are beyond what a header can count, or sums of that many edges fit no format.
        """
        maxima = self.maxima or graph.maxima
        for what, size in (("nodes", maxima.nodes), ("edges", maxima.edges)):
            if size > LARGEST_MAXIMUM:
                raise GraphError(f"a maximum of {size} {what}", remedy=f"give up to {LARGEST_MAXIMUM}")
        return graph if maxima == graph.maxima else graph.with_maxima(maxima)

    def lanes(self, domain: str, *, level: int = 0) -> int:
        """Rows per cycle of a pass over a domain: `"R"`, `"N"` or `"E"`."""
        if domain == "N" and level > 0:
            return self.update_lanes or max(1, self.node_lanes // 2)
        if domain == "N":
            return self.node_lanes
        return self.row_lanes if domain == "R" else self.edge_lanes
