"""Passes over rows: which nodes of a graph are computed together for a block of rows, and in which order."""

from __future__ import annotations

from ..quantization import EdgeAggregate, EdgeGather, Node, Requantize, TypedGraph


def row_passes(graph: TypedGraph, *, aggregates_alone: bool) -> list[list[Node]]:
    """Nodes of each pass, in order; all of a pass have rows of one dimension.

    Args:
        graph: The network.
        aggregates_alone: Whether each EdgeAggregate is a pass by itself.
    """
    waiting = [node for node in graph.nodes if not node.tensor.is_index]
    done = {node.name for node in graph.nodes if node.tensor.is_index}
    passes: list[list[Node]] = []
    while waiting:
        first = next(node for node in waiting if all(source in done for source in node.inputs))
        alone = aggregates_alone and isinstance(first, EdgeAggregate)
        taken = [first] if alone else _row_wise(waiting, done, first, aggregates=not aggregates_alone)
        passes.append(taken)
        done |= {node.name for node in taken}
        waiting = [node for node in waiting if node.name not in done]
    return passes


def any_edges(graph: TypedGraph) -> bool:
    """Whether every aggregate is requantized at once, so that a graph beyond the maxima has the same formats."""
    aggregates = [node for node in graph.nodes if isinstance(node, EdgeAggregate)]
    return all(isinstance(user, Requantize) for node in aggregates for user in graph.consumers(node.name))


def _row_wise(waiting: list[Node], done: set[str], first: Node, *, aggregates: bool) -> list[Node]:
    """Nodes that can be computed with the first one, row by row."""
    taken: dict[str, Node] = {}
    for node in waiting:
        if node.tensor.shape[0] != first.tensor.shape[0] or (isinstance(node, EdgeAggregate) and not aggregates):
            continue
        # These read whole tensors of the other dimension, which must be complete before the pass starts.
        ready = done if isinstance(node, EdgeGather | EdgeAggregate) else done | set(taken)
        if all(source in ready for source in node.inputs):
            taken[node.name] = node
    return list(taken.values())
