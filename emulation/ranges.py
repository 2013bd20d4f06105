"""What floating-point arithmetic holds exactly: the proofs behind executors that compute integers in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..quantization import Dense, TensorType, TypedGraph

FLOAT_LIMIT = 1 << 24
"""Every integer up to this magnitude is a float32."""

DOUBLE_LIMIT = 1 << 53
"""Every integer up to this magnitude is a float64."""

INT64_BITS = 62


def holder(largest: int) -> np.dtype:
    """Fastest NumPy type that holds every integer up to a magnitude: float32, float64, or int64 beyond 53 bits."""
    if largest <= FLOAT_LIMIT:
        return np.dtype(np.float32)
    return np.dtype(np.float64) if largest <= DOUBLE_LIMIT else np.dtype(np.int64)


def wider(*types: DTypeLike) -> np.dtype:
    """The one of several types of `holder` that holds the integers of all."""
    return max((np.dtype(kind) for kind in types), key=lambda kind: (kind.kind == "i", kind.itemsize))


def largest_value(tensor: TensorType) -> int:
    """Largest magnitude that occurs in a tensor."""
    return max(abs(tensor.low), abs(tensor.high))


def dense_shifts(graph: TypedGraph, node: Dense) -> tuple[int, int]:
    """Left shifts that bring the products and the bias of a Dense node to the grid of its sum."""
    fraction = node.tensor.format.fraction
    product = graph[node.inputs[0]].tensor.format.fraction + node.weight_format.fraction
    return fraction - product, fraction - node.bias_format.fraction if node.bias_format is not None else 0


def largest_partial_sum(graph: TypedGraph, node: Dense) -> int:
    """Bound on the magnitude of every sum of some of the terms of a Dense node, on the grid of its result.

    Whatever order a matrix product adds in, and whether it fuses multiplications with additions, it meets no number
    beyond this: an order is a chain of subsets of the terms, and no subset exceeds all the positive terms, or all the
    negative ones.
    """
    source = graph[node.inputs[0]].tensor
    shift, bias_shift = dense_shifts(graph, node)
    bits = int(np.abs(node.weight).max()).bit_length() + largest_value(source).bit_length()
    narrow = bits + node.weight.shape[1].bit_length() <= INT64_BITS
    weight = node.weight if narrow else node.weight.astype(object)  # Python's integers have no limit
    ends = weight * source.low, weight * source.high
    highest = np.maximum(np.maximum(*ends), 0).sum(axis=1)
    lowest = np.minimum(np.minimum(*ends), 0).sum(axis=1)
    sums = [max(int(high), -int(low)) << shift for high, low in zip(highest, lowest, strict=True)]
    if node.bias is None:
        return max(sums)
    return max(total + (abs(int(bias)) << bias_shift) for total, bias in zip(sums, node.bias, strict=True))
