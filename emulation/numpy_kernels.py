"""Kernels of the NumPy executor: blocks of rows through BLAS and element-wise functions, every number an integer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..quantization import Add, Concat, Dense, EdgeAggregate, EdgeGather, Input, Node, Output, Requantize
from .numpy_plan import Layer, Numbers, Plan
from .ranges import holder, wider

LONGEST_SHIFT = 62

EXACT_SCALES = range(LONGEST_SHIFT)
"""Left shifts of a float32 that lose no digit, and exceed its exponents only where the result saturates."""


def compute(plan: Plan, node: Node, sources: Sequence[Numbers]) -> Numbers:
    """One node of a block of rows, in the number type of the plan (a rescaled layer: before rounding).

    Args:
        plan: The plan.
        node: Any node but an aggregation.
        sources: Blocks of its inputs; of an input of the network, the features given; of a gather, the whole node
            tensor with a row of zeros appended, and the block of the edge index.

    Returns:
        The block, an array of its own unless it is the block of an Output.

    """
    kind = plan.kinds[node.name]
    fractions = [plan.nodes[name].tensor.format.fraction for name in node.inputs]
    shifts = [node.tensor.format.fraction - fraction for fraction in fractions]
    match node:
        case Input():
            return _enter(node, sources[0], kind)
        case Dense():
            return _dense(plan.layers[node.name], sources[0])
        case Requantize():
            layer = plan.layers.get(node.inputs[0])
            if layer is not None and layer.rescaled:
                return _round(node, sources[0], kind)
            return _requantize(node, sources[0], kind, fraction=fractions[0])
        case Concat():
            return _concat(sources, shifts, width=node.tensor.width, kind=kind)
        case Add():
            left, right = (_aligned(values, shift, kind) for values, shift in zip(sources, shifts, strict=True))
            return left + right
        case EdgeGather():
            return sources[0].take(sources[1].reshape(-1), axis=0).reshape(len(sources[1]), node.tensor.width)
        case Output():
            return sources[0]
    raise AssertionError(node)


def aggregate(node: EdgeAggregate, edges: Numbers, index: NDArray[np.intp], *, nodes: int, largest: int) -> Numbers:
    """Sum or maximum of edges at their nodes.

    Args:
        node: The aggregation.
        edges: [E, F].
        index: [E], `nodes` where an edge is padding.
        nodes: Number of nodes.
        largest: Bound on the magnitude of an edge's features.

    Returns:
        [nodes + 1, F], a row of zeros at the end, in a type that holds every partial sum.

    """
    if node.mode == "max":
        return _largest_at(edges, index, nodes)
    degree = int(np.bincount(index, minlength=nodes + 1)[:nodes].max(initial=0))
    kind = wider(holder(largest * degree), edges.dtype)
    # A sparse product adds whole rows: several times as fast as np.add.reduceat or one np.bincount per feature.
    ones, starts = np.ones(len(index), dtype=kind), np.arange(len(index) + 1)
    incidence = sparse.csc_array((ones, index, starts), shape=(nodes + 1, len(index)))
    result = incidence @ edges.astype(kind, copy=False)
    result[nodes] = 0
    return result


def _largest_at(edges: Numbers, index: NDArray[np.intp], nodes: int) -> Numbers:
    result = np.zeros((nodes + 1, edges.shape[1]), dtype=edges.dtype)
    order = np.argsort(index, kind="stable")
    order = order[: np.searchsorted(index[order], nodes)]  # padding comes last
    if len(order):
        ordered = index[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        result[ordered[starts]] = np.maximum.reduceat(edges[order], starts, axis=0)
        np.maximum(result, 0, out=result)
    return result


def _enter(node: Input, features: NDArray[np.float32], kind: np.dtype) -> Numbers:
    form = node.tensor.format
    if kind != np.float32 or form.fraction not in EXACT_SCALES:
        return form.quantize(features).astype(kind)
    with np.errstate(over="ignore"):  # what becomes infinite saturates
        scaled = features * np.float32(form.scale**-1)
    return _round(node, scaled, kind)


def _dense(layer: Layer, values: Numbers) -> Numbers:
    result = values.astype(layer.weight.dtype, copy=False) @ layer.weight
    if layer.bias is not None:
        result += layer.bias
    return result


def _requantize(node: Requantize, values: Numbers, kind: np.dtype, *, fraction: int) -> Numbers:
    form = node.tensor.format
    work = wider(values.dtype, kind)
    if work.kind == "i":
        return form.requantize(values.astype(np.int64), fraction=fraction).astype(kind)
    # Beyond these shifts no integer of 53 bits reaches half a step, and each but 0 saturates every format.
    shift = min(max(fraction - form.fraction, -LONGEST_SHIFT), LONGEST_SHIFT)
    return _round(node, values * work.type(2.0**-shift), kind)


def _round(node: Node, values: Numbers, kind: np.dtype) -> Numbers:
    """Round and saturate in place what lies on the grid of a node."""
    (np.floor if node.tensor.format.rounding == "TRN" else np.rint)(values, out=values)
    # The range of a node is the image of its source's range: within the format, and nothing saturates earlier.
    np.clip(values, node.tensor.low, node.tensor.high, out=values)
    return values.astype(kind, copy=False)


def _aligned(values: Numbers, shift: int, kind: np.dtype) -> Numbers:
    """Bring integers to a finer grid; a result in range has nothing but zeros where the shift is longer."""
    shift = min(shift, LONGEST_SHIFT)
    exact = values.astype(kind, copy=False)
    if shift == 0:
        return exact
    return exact << shift if kind.kind == "i" else exact * kind.type(2.0**shift)


def _concat(sources: Sequence[Numbers], shifts: Sequence[int], *, width: int, kind: np.dtype) -> Numbers:
    result = np.empty((len(sources[0]), width), dtype=kind)
    start = 0
    for values, shift in zip(sources, shifts, strict=True):
        end = start + values.shape[1]
        result[:, start:end] = _aligned(values, shift, kind)
        start = end
    return result
