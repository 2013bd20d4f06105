"""Plan of the native executor: passes over blocks of rows, the operations of each, and what is kept between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core import GraphError
from ..quantization import EdgeAggregate, EdgeGather, Node, Requantize, TypedGraph
from .native_lowering import Lowering
from .native_operations import Operation, Stored

UNBOUNDED_EDGES = 2**31 - 1
"""Edges that an executor must be exact for, where every sum over edges is requantized at once."""

MOST_FEATURES = 4096
"""Features of a node: 64 rows of them, of up to 8 bytes each, are held on the stack of a thread."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Operations computed together for each block of rows.

    Attributes:
        dimension: Symbolic dimension the rows run over.
        operations: In order.
    """

    dimension: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """How to compute a graph.

    Attributes:
        graph: The network, with the ranges the plan relies on.
        segments: Passes in order.
        stored: Tensors kept in memory between passes.
        dynamic: Whether every aggregate is requantized at once, so that any number of edges stays exact.
    """

    graph: TypedGraph
    segments: tuple[Segment, ...]
    stored: tuple[Stored, ...]
    dynamic: bool

    @property
    def maximal_edges(self) -> int:
        """Largest number of edges of one call."""
        return UNBOUNDED_EDGES if self.dynamic else self.graph.maxima.edges


def plan(graph: TypedGraph) -> Plan:
    """Split a graph into segments, and its nodes into operations.

    Raises:
        GraphError: A node has too many features.
    """
    for node in graph.nodes:
        if node.tensor.width > MOST_FEATURES:
            raise GraphError(
                f"node {node.name} has {node.tensor.width} features, native code holds up to {MOST_FEATURES}",
                remedy="use the executor numpy",
            )
    ranged = _for_any_edges(graph)
    dynamic = ranged is not None
    ranged = ranged or graph
    groups = _segments(ranged)
    home = {node.name: number for number, (_, nodes) in enumerate(groups) for node in nodes}
    lowering = Lowering(ranged, home)
    segments = [Segment(dimension=dimension, operations=lowering.segment(nodes)) for dimension, nodes in groups]
    return Plan(graph=ranged, segments=tuple(segments), stored=lowering.stored, dynamic=dynamic)


def _for_any_edges(graph: TypedGraph) -> TypedGraph | None:
    """The graph with ranges that hold for any number of edges; None where sums over edges are used unrounded."""
    aggregates = [node for node in graph.nodes if isinstance(node, EdgeAggregate)]
    if not all(isinstance(user, Requantize) for node in aggregates for user in graph.consumers(node.name)):
        return None
    if not aggregates:
        return graph
    try:
        return graph.with_maxima(replace(graph.maxima, edges=UNBOUNDED_EDGES))
    except GraphError:  # sums of that many edges fit no format
        return None


def _segments(graph: TypedGraph) -> list[tuple[str, list[Node]]]:
    waiting = [node for node in graph.nodes if not node.tensor.is_index]
    done = {node.name for node in graph.nodes if node.tensor.is_index}
    segments: list[tuple[str, list[Node]]] = []
    while waiting:
        first = next(node for node in waiting if all(source in done for source in node.inputs))
        dimension = str(first.tensor.shape[0])
        taken = _row_wise(waiting, done, dimension=dimension)
        segments.append((dimension, taken))
        done |= {node.name for node in taken}
        waiting = [node for node in waiting if node.name not in done]
    return segments


def _row_wise(waiting: list[Node], done: set[str], *, dimension: str) -> list[Node]:
    taken: dict[str, Node] = {}
    for node in waiting:
        if str(node.tensor.shape[0]) != dimension:
            continue
        # These read whole tensors of the other dimension, which must be complete before the segment starts.
        ready = done if isinstance(node, EdgeGather | EdgeAggregate) else done | set(taken)
        if all(source in ready for source in node.inputs):
            taken[node.name] = node
    return list(taken.values())
