"""Plan of the native executor: passes over blocks of rows, the operations of each, and what is kept between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core import GraphError
from ..quantization import EdgeAggregate, TypedGraph
from .native_lowering import Lowering
from .native_operations import Operation, Stored
from .row_passes import any_edges, row_passes

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
    groups = row_passes(ranged, aggregates_alone=False)
    home = {node.name: number for number, nodes in enumerate(groups) for node in nodes}
    lowering = Lowering(ranged, home)
    segments = [
        Segment(dimension=str(nodes[0].tensor.shape[0]), operations=lowering.segment(nodes)) for nodes in groups
    ]
    return Plan(graph=ranged, segments=tuple(segments), stored=lowering.stored, dynamic=dynamic)


def _for_any_edges(graph: TypedGraph) -> TypedGraph | None:
    """The graph with ranges that hold for any number of edges; None where sums over edges are used unrounded."""
    if not any_edges(graph):
        return None
    if not any(isinstance(node, EdgeAggregate) for node in graph.nodes):
        return graph
    try:
        return graph.with_maxima(replace(graph.maxima, edges=UNBOUNDED_EDGES))
    except GraphError:  # sums of that many edges fit no format
        return None
