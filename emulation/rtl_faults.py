"""Faults that the RTL of a network can be given by way of its typed graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..quantization import Concat, Dense, FixedPoint, Node, Requantize, TypedGraph, rebuild

UNIT = FixedPoint(signed=True, width=2, integer=2, overflow="WRAP")  # weights 1 and -1


def narrow_accumulators(graph: TypedGraph, widths: Mapping[str, int]) -> TypedGraph:
    """The network with accumulators of fewer bits, which wrap.

    A sum modulo 2**width is the same whether it wraps at every addition or once at the end, and no node of a typed
    graph wraps: what is above `width` bits is split off by a conversion that rounds down, and subtracted again.

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
    """The node under another name, and what makes of it the integers that `width` bits hold."""
    tensor, features = node.tensor, node.tensor.width
    exact, raised, carry, both = (f"{node.name}_{part}" for part in ("exact", "raised", "carry", "both"))
    half = 1 << (width - 1) if tensor.low < 0 else 0  # so that rounding down splits at the lowest negative number
    identity = np.eye(features, dtype=np.int64)
    bias = FixedPoint(signed=False, width=width, integer=width - tensor.format.fraction)
    whole = FixedPoint.covering(
        (tensor.low + half) >> width, (tensor.high + half) >> width, fraction=tensor.format.fraction - width
    )
    return [
        replace(node, name=exact),
        Dense(
            name=raised,
            inputs=(exact,),
            tensor=tensor,
            weight=identity,
            weight_format=UNIT,
            bias=np.full(features, half, dtype=np.int64),
            bias_format=bias,
        ),
        Requantize(name=carry, inputs=(raised,), tensor=replace(tensor, format=replace(whole, overflow="SAT"))),
        Concat(name=both, inputs=(exact, carry), tensor=tensor),
        Dense(
            name=node.name,
            inputs=(both,),
            tensor=tensor,
            weight=np.concatenate([identity, -identity], axis=1),
            weight_format=UNIT,
        ),
    ]
