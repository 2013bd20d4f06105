"""A graph small enough to compute by hand."""

from __future__ import annotations

import numpy as np

from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph

A8 = FixedPoint(signed=True, width=8, integer=8)
U4 = FixedPoint(signed=False, width=4, integer=4)
WEIGHT = FixedPoint(signed=True, width=4, integer=4, overflow="SAT_SYM")


def hand_graph(mode: str = "sum") -> TypedGraph:
    """Sums, or takes the largest of, x[receiver] - x[sender] over the edges into each node."""
    builder = GraphBuilder(maxima=Maxima(nodes=4, edges=6))
    nodes, index = builder.input("nodes", shape=("N", 1), format=A8), builder.edge_index("edge_index")
    ends = builder.edge_gather("ends", nodes, index)
    difference = builder.dense("difference", ends, weight=np.array([[-1, 1]]), weight_format=WEIGHT)
    edge = builder.requantize("edge", difference, format=A8)
    total = builder.edge_aggregate("total", edge, index, mode=mode)  # type: ignore[arg-type] - a literal in each test
    builder.output("result", builder.requantize("clipped", total, format=U4))
    return TypedGraph.from_builder(builder, name="hand")
