"""The golden model: int64 NumPy, the specification in its simplest form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..quantization import (
    Add,
    Concat,
    Dense,
    EdgeAggregate,
    EdgeGather,
    FixedPoint,
    Input,
    Node,
    Output,
    Requantize,
    TypedGraph,
)
from .executor import Arrays, to_values, wanted_nodes
from .inputs import Sizes, check_inputs

Integers = NDArray[np.int64]


class GoldenExecutor:
    """Reference executor; every other one must give the same integers.

    Args:
        graph: The network.
        accumulator_widths: Bits of accumulators that wrap, by node: what narrower hardware would do. None by
            default, since every accumulator of a typed graph is proven wide enough.

    """

    name = "golden"
    maxima_limited = False

    def __init__(self, graph: TypedGraph, *, accumulator_widths: Mapping[str, int] | None = None) -> None:
        self.graph = graph
        self._widths = dict(accumulator_widths or {})

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Outputs as float32 by output name; inputs as `check_inputs` describes."""
        return to_values(self.graph, self.run_integers(inputs, [node.name for node in self.graph.outputs]))

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, Integers]:
        """Integers of the visible nodes asked for, each on its node's grid."""
        wanted = wanted_nodes(self.graph, nodes)
        values = self.run_all(inputs)
        return {name: values[name] for name in wanted}

    def run_all(self, inputs: Arrays) -> dict[str, Integers]:
        """Integers of every node, the hidden ones (accumulators) included."""
        sizes = check_inputs(self.graph, inputs)
        values: dict[str, Integers] = {}
        for node in self.graph.nodes:
            if isinstance(node, Input):
                values[node.name] = _enter(node, inputs[node.name])
            else:
                result = compute_node(self.graph, node, [values[name] for name in node.inputs], sizes)
                values[node.name] = self._narrow(node, result)
        return values

    def _narrow(self, node: Node, result: Integers) -> Integers:
        width = self._widths.get(node.name)
        return result if width is None else wrap(node, result, width=width)


def wrap(node: Node, values: Integers, *, width: int) -> Integers:
    """What an accumulator of `width` bits, as signed as the node's exact one, makes of a node's integers."""
    narrow = FixedPoint(signed=node.tensor.low < 0, width=width, integer=width, overflow="WRAP")
    return narrow.requantize(values, fraction=0)


def _enter(node: Input, array: NDArray[Any]) -> Integers:
    return array.astype(np.int64) if node.tensor.is_index else node.tensor.format.quantize(array)


def compute_node(graph: TypedGraph, node: Node, sources: Sequence[Integers], sizes: Sizes) -> Integers:
    """Integers of one node from those of its inputs.

    Args:
        graph: The network; gives the grids of the inputs.
        node: Any node but an input.
        sources: Integers of the node's inputs, each on its own grid.
        sizes: Sizes of the call.

    Returns:
        int64 array on the grid of the node.

    """
    fraction = node.tensor.format.fraction
    fractions = [graph[name].tensor.format.fraction for name in node.inputs]
    match node:
        case Dense():
            return _dense(node, sources[0], fractions[0])
        case Requantize():
            return node.tensor.format.requantize(sources[0], fraction=fractions[0])
        case Concat():
            aligned = [values << (fraction - own) for values, own in zip(sources, fractions, strict=True)]
            return np.concatenate(aligned, axis=-1)
        case Add():
            return (sources[0] << (fraction - fractions[0])) + (sources[1] << (fraction - fractions[1]))
        case EdgeGather():
            return _gather(sources[0], sources[1])
        case EdgeAggregate():
            return _aggregate(node, sources[0], sources[1][:, node.column], sizes.nodes)
        case Output():
            return sources[0]
    raise AssertionError(node)


def _dense(node: Dense, values: Integers, fraction: int) -> Integers:
    shift = node.tensor.format.fraction - fraction - node.weight_format.fraction
    result = (values @ node.weight.T) << shift
    if node.bias is not None and node.bias_format is not None:
        result = result + (node.bias << (node.tensor.format.fraction - node.bias_format.fraction))
    return result


def _gather(nodes: Integers, edge_index: Integers) -> Integers:
    padded = np.concatenate([nodes, np.zeros((1, nodes.shape[1]), dtype=np.int64)])
    index = np.minimum(edge_index, len(nodes))
    return np.concatenate([padded[index[:, 0]], padded[index[:, 1]]], axis=-1)


def _aggregate(node: EdgeAggregate, edges: Integers, index: Integers, nodes: int) -> Integers:
    result = np.zeros((nodes, edges.shape[1]), dtype=np.int64)
    real = index < nodes
    (np.add if node.mode == "sum" else np.maximum).at(result, index[real], edges[real])
    return result
