"""What a network costs, in the figures that targets and model cards name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..quantization import Dense, TypedGraph
from ..quantization.cost import graph_cost
from ..quantization.nodes import Requantize

FLOAT_BITS = 32


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """Cost of one inference: a row, or a graph of the sizes asked for.

    Attributes:
        parameters: Weights and biases, those of 0 included.
        scaling_parameters: Those of them in the learned scaling of the inputs.
        weights: Weights.
        nonzero_weights: Weights that are not 0.
        macs: Multiplications, those by 0 included.
        nonzero_macs: Multiplications by weights that are not 0.
        bops: Bit operations (see `quantization.cost`).
        float_bops: Bit operations of the same network unpruned in float32: both operands of 32 bits, by the same
            formula.
        ebops: Effective bit operations.
        weight_bits: Bits of the widest weight behind the input scaling.
        scaling_bits: Bits of the widest weight of the input scaling; 0 where there is none.
        activation_bits: Bits of the widest hidden activation, the output of a ReLU.
        input_bits: Bits of the widest input and of what input scaling makes of it.
    """

    parameters: int
    scaling_parameters: int
    weights: int
    nonzero_weights: int
    macs: int
    nonzero_macs: int
    bops: float
    float_bops: float
    ebops: int
    weight_bits: int
    scaling_bits: int
    activation_bits: int
    input_bits: int


def network_cost(
    graph: TypedGraph, *, nodes: int | None = None, edges: int | None = None, rows: int = 1
) -> NetworkCost:
    """Cost of a network.

    Args:
        graph: The network.
        nodes: Nodes of the graph it is applied to; None takes the maximum.
        edges: Edges of that graph; None takes the maximum.
        rows: Rows a network of rows is applied to.

    Raises:
        GraphError: A size is negative or exceeds its maximum.
    """
    cost = graph_cost(graph, nodes=nodes, edges=edges, rows=rows)
    dense = [node for node in graph.nodes if isinstance(node, Dense)]
    scaling = _input_scaling(graph)
    behind = [node for node in dense if node not in scaling]
    quantizers = [node.tensor.format for node in graph.nodes if isinstance(node, Requantize)]
    inputs = [node.tensor.format.width for node in graph.inputs if not node.tensor.is_index]
    return NetworkCost(
        parameters=_parameters(dense),
        scaling_parameters=_parameters(scaling),
        weights=cost.weights,
        nonzero_weights=cost.nonzero_weights,
        macs=cost.macs,
        nonzero_macs=sum(node.rows * node.nonzero_weights for node in cost.nodes),
        bops=cost.bops,
        float_bops=math.fsum(cost[node.name].rows * _float_bops(node) for node in dense),
        ebops=cost.ebops,
        weight_bits=max((node.weight_format.width for node in behind), default=0),
        scaling_bits=max((node.weight_format.width for node in scaling), default=0),
        activation_bits=max((item.width for item in quantizers if not item.signed), default=0),
        input_bits=max([*inputs, *(item.width for item in quantizers if item.signed)], default=0),
    )


def _input_scaling(graph: TypedGraph) -> list[Dense]:
    """Linear layers from an input to a signed format; what a ReLU follows is a layer of the network (unsigned)."""
    inputs = {node.name for node in graph.inputs}
    linear = {node.inputs[0] for node in graph.nodes if isinstance(node, Requantize) and node.tensor.format.signed}
    return [
        node for node in graph.nodes if isinstance(node, Dense) and node.inputs[0] in inputs and node.name in linear
    ]


def _parameters(layers: Sequence[Dense]) -> int:
    return sum(node.weight.size + (0 if node.bias is None else node.bias.size) for node in layers)


def _float_bops(node: Dense) -> float:
    return node.weight.size * (FLOAT_BITS**2 + 2 * FLOAT_BITS + math.log2(node.weight.shape[1]))
