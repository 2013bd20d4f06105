"""Typed graphs in rational arithmetic: the meaning of every node once more, without the package's NumPy code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from hitfabric.quantization import (
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

Rows = list[list[Fraction]]


def exact_integer(form: FixedPoint, value: Fraction) -> int:
    """Integer of a real value in a format."""
    scaled = value * Fraction(2) ** form.fraction
    integer = math.floor(scaled) if form.rounding == "TRN" else round(scaled)  # round() of a Fraction is half to even
    magnitude = 2 ** (form.width - (1 if form.signed else 0))
    low, high = (-magnitude if form.signed else 0), magnitude - 1
    if form.overflow == "WRAP":
        return (integer - low) % 2**form.width + low
    return min(max(integer, low + (form.overflow == "SAT_SYM")), high)


def exact_value(form: FixedPoint, integer: int) -> Fraction:
    """Real value of an integer of a format."""
    return integer / Fraction(2) ** form.fraction


def exact_values(
    graph: TypedGraph, inputs: Mapping[str, Sequence[Sequence[int]]], *, nodes: int = 0
) -> dict[str, Rows]:
    """Real values of every node, from the integers of the inputs (an edge index: plain indices)."""
    values: dict[str, Rows] = {}
    for node in graph.nodes:
        if isinstance(node, Input):
            form = node.tensor.format
            values[node.name] = [[exact_value(form, int(item)) for item in row] for row in inputs[node.name]]
        else:
            values[node.name] = _compute(node, [values[name] for name in node.inputs], nodes)
    return values


def _compute(node: Node, sources: list[Rows], nodes: int) -> Rows:
    match node:
        case Dense():
            return [[_affine(node, output, row) for output in range(len(node.weight))] for row in sources[0]]
        case Requantize():
            form = node.tensor.format
            return [[exact_value(form, exact_integer(form, item)) for item in row] for row in sources[0]]
        case Concat():
            return [[item for part in parts for item in part] for parts in zip(*sources, strict=True)]
        case Add():
            return [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(*sources, strict=True)]
        case EdgeGather():
            features, index = sources
            zeros = [Fraction(0)] * (node.tensor.width // 2)
            return [[x for end in ends for x in (features[int(end)] if end < nodes else zeros)] for ends in index]
        case EdgeAggregate():
            return [_aggregate(node, number, *sources) for number in range(nodes)]
        case Output():
            return sources[0]
    raise AssertionError(node)


def _affine(node: Dense, output: int, row: list[Fraction]) -> Fraction:
    total = sum((exact_value(node.weight_format, int(w)) * x for w, x in zip(node.weight[output], row, strict=True)))
    if node.bias is not None and node.bias_format is not None:
        total += exact_value(node.bias_format, int(node.bias[output]))
    return Fraction(total)


def _aggregate(node: EdgeAggregate, number: int, edges: Rows, index: Rows) -> list[Fraction]:
    mine = [row for row, ends in zip(edges, index, strict=True) if ends[node.column] == number]
    if node.mode == "max":
        return [max([Fraction(0), *(row[place] for row in mine)]) for place in range(node.tensor.width)]
    return [sum((row[place] for row in mine), Fraction(0)) for place in range(node.tensor.width)]
