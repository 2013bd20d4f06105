"""Nodes of the typed graph: frozen data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .fixed_point import FixedPoint

Dimension = int | Literal["R", "N", "E"]


@dataclass(frozen=True, kw_only=True)
class TensorType:
    """Type of one tensor.

    Attributes:
        shape: Dimensions: `"R"` rows, `"N"` nodes, `"E"` edges, or a number.
        format: Fixed-point format of the elements (unsigned with fraction 0 for an index).
        low: Smallest integer that can occur, on the grid of the format.
        high: Largest integer that can occur.
        is_index: Elements are node indices; an index at or above the number of nodes is padding.

    """

    shape: tuple[Dimension, ...]
    format: FixedPoint
    low: int
    high: int
    is_index: bool = False

    @property
    def width(self) -> int:
        """Size of the last axis."""
        last = self.shape[-1]
        assert isinstance(last, int)
        return last


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation; its output tensor has the node's name."""

    name: str
    inputs: tuple[str, ...]
    tensor: TensorType


@dataclass(frozen=True, kw_only=True)
class Input(Node):
    """A feature tensor, quantized on entry, or an edge index [E, 2] of (sender, receiver)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Node):
    """Exact affine map of the last axis.

    Attributes:
        weight: int64 [out, in] on the grid of `weight_format`.
        weight_format: Format of the weights.
        bias: int64 [out] on the grid of `bias_format`, or None.
        bias_format: Format of the bias, or None.

    """

    weight: NDArray[np.int64] = field(repr=False)
    weight_format: FixedPoint
    bias: NDArray[np.int64] | None = field(default=None, repr=False)
    bias_format: FixedPoint | None = None


@dataclass(frozen=True, kw_only=True)
class Requantize(Node):
    """Rounding, saturating conversion to the format of the output; unsigned formats make it a ReLU."""


@dataclass(frozen=True, kw_only=True)
class Concat(Node):
    """Concatenation along the last axis on the finest grid of the inputs."""


@dataclass(frozen=True, kw_only=True)
class Add(Node):
    """Exact sum of two tensors on the finer grid."""


@dataclass(frozen=True, kw_only=True)
class EdgeGather(Node):
    """[x[sender], x[receiver]] of each edge; inputs (nodes, edge_index); a padding index gives zeros."""


@dataclass(frozen=True, kw_only=True)
class EdgeAggregate(Node):
    """Sum or maximum of edge features at a node; inputs (edge features, edge_index); padding edges are skipped.

    Attributes:
        column: 1 aggregates at the receiver, 0 at the sender.
        mode: `sum`, or `max` (0 where a node has no edge, and never below 0).

    """

    column: Literal[0, 1] = 1
    mode: Literal["sum", "max"] = "sum"


@dataclass(frozen=True, kw_only=True)
class Output(Node):
    """Names a result of the graph."""
