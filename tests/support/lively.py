"""A network whose every layer is alive, with vectors that exercise it."""

from __future__ import annotations

import numpy as np

from hitfabric.quantization import FixedPoint, GraphBuilder, Maxima, TypedGraph
from support.random_graphs import random_inputs


def lively_network(seed: int) -> tuple[TypedGraph, dict]:
    """An interaction network whose every layer is alive, with vectors that exercise it."""
    generator = np.random.default_rng(seed)
    activation = FixedPoint(signed=True, width=8, integer=4)
    weight = FixedPoint(signed=True, width=6, integer=1, overflow="SAT_SYM")
    builder = GraphBuilder(maxima=Maxima(nodes=32, edges=64))
    nodes, index = builder.input("nodes", shape=("N", 3), format=activation), builder.edge_index("edge_index")

    def layer(name: str, source: str, width: int) -> str:
        shape = (width, builder.nodes[source].tensor.width)
        dense = builder.dense(name, source, weight=generator.integers(-31, 32, shape), weight_format=weight)
        return builder.requantize(f"{name}_quant", dense, format=activation)

    edges = layer("message", builder.edge_gather("ends", nodes, index), 4)
    total = builder.requantize("total_quant", builder.edge_aggregate("total", edges, index), format=activation)
    nodes = layer("update", builder.concat("joined", [nodes, total]), 4)
    builder.output("score", layer("score_dense", builder.edge_gather("ends_again", nodes, index), 1))
    graph = TypedGraph.from_builder(builder, name="lively")
    vectors = random_inputs(graph, seed=seed, sizes={"N": 32, "E": 64})
    return graph, {**vectors, "nodes": vectors["nodes"] / 4}
