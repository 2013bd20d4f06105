"""Plan of the NumPy executor: passes over rows, number types proven wide enough, constants of the layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..quantization import Dense, Node, Requantize, TypedGraph
from .ranges import dense_shifts, holder, largest_partial_sum, largest_value, wider
from .row_passes import row_passes

Numbers = NDArray[Any]
"""Integers in float32, float64 or int64, whichever the plan says."""

BLOCK_BYTES = 1 << 20
LARGEST_FOLDED_SHIFT = 60


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Constants of a Dense node.

    Attributes:
        weight: [in, out]; with `rescaled`, times the scale of the Requantize node that follows.
        bias: [out], or None.
        rescaled: Whether the result lies on the grid of that Requantize node already, not yet rounded.

    """

    weight: Numbers
    bias: Numbers | None
    rescaled: bool


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Nodes computed together for each block of rows, or one aggregation.

    Attributes:
        nodes: Operations in order.
        block: Rows of a block.

    """

    nodes: tuple[Node, ...]
    block: int

    @property
    def dimension(self) -> object:
        """What the rows run over."""
        return self.nodes[0].tensor.shape[0]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to compute a graph of a number of edges within its maxima.

    Attributes:
        graph: The graph.
        passes: Passes in order.
        last_read: By tensor that lives between passes, number of the last pass that reads it.
        kinds: Number type of each tensor.
        layers: Constants of each Dense node.

    """

    graph: TypedGraph
    passes: tuple[Pass, ...]
    last_read: Mapping[str, int]
    kinds: Mapping[str, np.dtype]
    layers: Mapping[str, Layer]

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Nodes by name."""
        return {node.name: node for node in self.graph.nodes}


def plan(graph: TypedGraph) -> Plan:
    """Plan a graph."""
    kinds = {node.name: holder(largest_value(node.tensor)) for node in graph.nodes if not node.tensor.is_index}
    passes = tuple(_passes(graph, kinds))
    home = {node.name: number for number, step in enumerate(passes) for node in step.nodes}
    last_read: dict[str, int] = {}
    for number, step in enumerate(passes):
        for source in (source for node in step.nodes for source in node.inputs):
            if home.get(source, number) != number:
                last_read[source] = number
    layers = {node.name: _layer(graph, node) for node in graph.nodes if isinstance(node, Dense)}
    return Plan(graph=graph, passes=passes, last_read=last_read, kinds=kinds, layers=layers)


def _passes(graph: TypedGraph, kinds: Mapping[str, np.dtype]) -> Iterator[Pass]:
    for nodes in row_passes(graph, aggregates_alone=True):
        widest = max(node.tensor.width * kinds[node.name].itemsize for node in nodes)
        yield Pass(nodes=tuple(nodes), block=max(64, BLOCK_BYTES // widest))


def _layer(graph: TypedGraph, node: Dense) -> Layer:
    source, users = graph[node.inputs[0]].tensor, graph.consumers(node.name)
    kind = wider(holder(largest_partial_sum(graph, node)), holder(largest_value(source)))
    shift, bias_shift = dense_shifts(graph, node)
    rescale = _foldable(node, users, kind)
    # Where every input is 0, weights may lie so far off the grid of the result that only their product fits.
    weight = _shifted(node.weight.T if largest_value(source) else np.zeros_like(node.weight.T), shift, kind)
    bias = None if node.bias is None else _shifted(node.bias, bias_shift, kind)
    if rescale is not None:
        weight, bias = np.ldexp(weight, rescale), None if bias is None else np.ldexp(bias, rescale)
    return Layer(weight=np.ascontiguousarray(weight), bias=bias, rescaled=rescale is not None)


def _foldable(node: Dense, users: tuple[Node, ...], kind: np.dtype) -> int | None:
    """Exponent that brings sums to the grid of the one Requantize node that reads them, if the weights can take it."""
    if len(users) != 1 or not isinstance(users[0], Requantize) or kind.kind == "i":
        return None
    exponent = users[0].tensor.format.fraction - node.tensor.format.fraction
    saturates_within = wider(kind, holder(largest_value(users[0].tensor))) == kind
    return exponent if saturates_within and abs(exponent) <= LARGEST_FOLDED_SHIFT else None


def _shifted(integers: NDArray[np.int64], shift: int, kind: np.dtype) -> Numbers:
    return integers << shift if kind.kind == "i" else np.ldexp(integers.astype(kind), shift)
