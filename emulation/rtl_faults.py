"""Faults that the RTL of a network can be given by way of its typed graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..quantization import FixedPoint, Node, Requantize, TypedGraph, rebuild


def narrow_accumulators(graph: TypedGraph, widths: Mapping[str, int]) -> TypedGraph:
    """The network with accumulators of fewer bits, which wrap.

    A sum modulo 2**width is the same whether it wraps at every addition or once at the end: a conversion that wraps,
    behind the exact sum, is what a narrow accumulator makes of it.

    Args:
        graph: The network.
        widths: Bits by Dense or EdgeAggregate node, each as signed as its exact accumulator.

    Returns:
        The network, in which the exact sums have the suffix `_exact`.

    Raises:
        GraphError: A node is unknown, or a type cannot be derived.
    """
    for name in widths:
        graph[name]  # names what is unknown
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _wrapped(node, widths[node.name]) if node.name in widths else [node]
    return rebuild(replace(graph, nodes=tuple(nodes)))


def _wrapped(node: Node, width: int) -> list[Node]:
    exact = f"{node.name}_exact"
    form = FixedPoint(
        signed=node.tensor.low < 0, width=width, integer=width - node.tensor.format.fraction, overflow="WRAP"
    )
    wrapped = Requantize(name=node.name, inputs=(exact,), tensor=replace(node.tensor, format=form))
    return [replace(node, name=exact), wrapped]
