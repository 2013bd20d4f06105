"""Plan of the native executor: segments of row-wise operations, and which tensors live in memory between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core import GraphError
from ..quantization import Dense, EdgeAggregate, EdgeGather, Input, Node, Output, Requantize, TypedGraph

FLOAT_LIMIT = 1 << 24
DOUBLE_LIMIT = 1 << 53


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Operations computed together for each block of rows, or one aggregation.

    Attributes:
        dimension: Symbolic dimension the rows run over.
        nodes: Operations in order.

    """

    dimension: str
    nodes: tuple[Node, ...]

    @property
    def is_aggregate(self) -> bool:
        """Whether this is an aggregation pass."""
        return isinstance(self.nodes[0], EdgeAggregate)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to compute a graph.

    Attributes:
        segments: Passes in order.
        stored: Names of the tensors kept in memory between passes.
        dynamic: Whether every aggregate is requantized at once, so that any number of edges stays exact.

    """

    segments: tuple[Segment, ...]
    stored: frozenset[str]
    dynamic: bool


def plan(graph: TypedGraph) -> Plan:
    """Split a graph into segments.

    Raises:
        GraphError: A tensor needs more than 53 bits.

    """
    segments = _segments(graph)
    home = {node.name: number for number, segment in enumerate(segments) for node in segment.nodes}
    stored = set()
    for number, segment in enumerate(segments):
        for node in segment.nodes:
            for source in node.inputs:
                if not graph[source].tensor.is_index and home[source] != number:
                    stored.add(source)
    aggregates = [node for node in graph.nodes if isinstance(node, EdgeAggregate)]
    dynamic = all(isinstance(user, Requantize) for node in aggregates for user in graph.consumers(node.name))
    return Plan(segments=tuple(segments), stored=frozenset(stored), dynamic=dynamic)


def value_type(graph: TypedGraph, node: Node) -> str:
    """`float` or `double`: the C++ type that holds the node's integers, and for Dense every partial sum, exactly."""
    largest = max(abs(node.tensor.low), abs(node.tensor.high))
    if isinstance(node, EdgeAggregate):
        return "double"  # room for more edges than the static maxima
    if isinstance(node, Output | EdgeGather):
        return value_type(graph, graph[node.inputs[0]])
    if isinstance(node, Dense):
        largest = max(largest, _largest_partial_sum(graph, node))
    if largest > DOUBLE_LIMIT:
        raise GraphError(f"node {node.name} needs more than 53 bits", remedy="use fewer bits, or the golden executor")
    return "float" if largest <= FLOAT_LIMIT else "double"


def dense_shifts(graph: TypedGraph, node: Dense) -> tuple[int, int]:
    """Left shifts that bring products and bias to the grid of the sum."""
    fraction = node.tensor.format.fraction
    product = graph[node.inputs[0]].tensor.format.fraction + node.weight_format.fraction
    return fraction - product, fraction - node.bias_format.fraction if node.bias_format is not None else 0


def _largest_partial_sum(graph: TypedGraph, node: Dense) -> int:
    source = graph[node.inputs[0]].tensor
    shift, bias_shift = dense_shifts(graph, node)
    sums = np.abs(node.weight).sum(axis=1) * max(abs(source.low), abs(source.high)) * (1 << shift)
    if node.bias is not None:
        sums = sums + np.abs(node.bias) * (1 << bias_shift)
    return int(sums.max())


def _segments(graph: TypedGraph) -> list[Segment]:
    waiting = [node for node in graph.nodes if not node.tensor.is_index]
    done = {node.name for node in graph.nodes if node.tensor.is_index}
    segments: list[Segment] = []
    while waiting:
        first = next(node for node in waiting if all(source in done for source in node.inputs))
        if isinstance(first, EdgeAggregate):
            taken = [first]
        else:
            taken = _row_wise(waiting, done, dimension=str(first.tensor.shape[0]))
        segments.append(Segment(dimension=str(taken[0].tensor.shape[0]), nodes=tuple(taken)))
        done |= {node.name for node in taken}
        waiting = [node for node in waiting if node.name not in done]
    return segments


def _row_wise(waiting: list[Node], done: set[str], *, dimension: str) -> list[Node]:
    taken: dict[str, Node] = {}
    for node in waiting:
        if str(node.tensor.shape[0]) != dimension or isinstance(node, EdgeAggregate):
            continue
        # A gather reads whole node tensors, which must be complete before the segment starts.
        ready = done if isinstance(node, EdgeGather) else done | set(taken)
        if all(source in ready for source in node.inputs):
            taken[node.name] = node
    return list(taken.values())


def is_feature(node: Node) -> bool:
    """Whether the node is a feature input."""
    return isinstance(node, Input) and not node.tensor.is_index
