"""Builds typed graphs; the one place where exact ranges and accumulator widths are derived."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .fixed_point import FixedPoint, whole_number
from .nodes import Add, Concat, Dense, Dimension, EdgeAggregate, EdgeGather, Input, Node, Output, Requantize, TensorType

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, kw_only=True)
class Maxima:
    """Static maxima of a graph network: what the firmware has room for.

    Attributes:
        nodes: Most nodes of one graph.
        edges: Most edges of one graph; also bounds the in-degree, hence the width of aggregation sums.

    """

    nodes: int = 256
    edges: int = 512

    def __post_init__(self) -> None:
        for field in ("nodes", "edges"):
            object.__setattr__(self, field, whole_number(f"maximum of {field}", getattr(self, field)))
        if self.nodes < 1 or self.edges < 1:
            raise GraphError(
                f"maxima {self.nodes}/{self.edges} must be positive", remedy="give at least 1 node and 1 edge"
            )

    @property
    def index_format(self) -> FixedPoint:
        """uint<ceil(log2(nodes + 1))>: every index and one padding value."""
        width = int(self.nodes).bit_length()
        return FixedPoint(signed=False, width=width, integer=width, overflow="WRAP")


class GraphBuilder:
    """Adds nodes in order, deriving each tensor's exact type.

    Every method returns the name of the node it adds, which later nodes take as an input.
    """

    def __init__(self, *, maxima: Maxima | None = None) -> None:
        self.maxima = maxima if maxima is not None else Maxima()
        self.nodes: dict[str, Node] = {}

    def input(self, name: str, *, shape: Sequence[Dimension], format: FixedPoint) -> str:
        """Add a feature input of the given shape, quantized to `format` on entry."""
        if format.overflow == "WRAP":
            raise GraphError(f"input {name}: features saturate, never wrap", remedy="use SAT or SAT_SYM")
        sizes = _feature_shape(name, shape)
        return self._add(
            Input(name=name, inputs=(), tensor=TensorType(shape=sizes, format=format, low=format.low, high=format.high))
        )

    def edge_index(self, name: str) -> str:
        """Add an edge index input [E, 2] of (sender, receiver)."""
        index = self.maxima.index_format
        tensor = TensorType(shape=("E", 2), format=index, low=0, high=index.high, is_index=True)
        return self._add(Input(name=name, inputs=(), tensor=tensor))

    def dense(
        self,
        name: str,
        source: str,
        *,
        weight: NDArray[np.int64],
        weight_format: FixedPoint,
        bias: NDArray[np.int64] | None = None,
        bias_format: FixedPoint | None = None,
    ) -> str:
        """Add an exact affine map; weight int64 [out, in], bias int64 [out], each within its format."""
        tensor = self._values(name, source)
        weight = _frozen(name, "weight", weight, weight_format, shape=(None, tensor.width))
        fraction = tensor.format.fraction + weight_format.fraction
        low, high = _row_sums(weight, tensor)
        if bias is not None:
            if bias_format is None:
                raise GraphError(f"node {name}: a bias needs its format", remedy="give bias_format")
            bias = _frozen(name, "bias", bias, bias_format, shape=(weight.shape[0],))
            finest = max(fraction, bias_format.fraction)
            up, bias_up = 1 << (finest - fraction), 1 << (finest - bias_format.fraction)
            low = [value * up + int(b) * bias_up for value, b in zip(low, bias, strict=True)]
            high = [value * up + int(b) * bias_up for value, b in zip(high, bias, strict=True)]
            fraction = finest
        output = _exact(name, (*tensor.shape[:-1], weight.shape[0]), (min(low), max(high)), fraction)
        return self._add(
            Dense(
                name=name,
                inputs=(source,),
                tensor=output,
                weight=weight,
                weight_format=weight_format,
                bias=bias,
                bias_format=bias_format,
            )
        )

    def requantize(self, name: str, source: str, *, format: FixedPoint) -> str:
        """Add a conversion to `format`; its range is the image of the source's range."""
        tensor = self._values(name, source)
        if format.overflow == "WRAP":
            raise GraphError(f"node {name}: activations saturate, never wrap", remedy="use SAT or SAT_SYM")
        low, high = (format.requantize_exact(end, fraction=tensor.format.fraction) for end in (tensor.low, tensor.high))
        output = TensorType(shape=tensor.shape, format=format, low=low, high=high)
        return self._add(Requantize(name=name, inputs=(source,), tensor=output))

    def concat(self, name: str, sources: Sequence[str]) -> str:
        """Add a concatenation of at least two tensors along the last axis."""
        tensors = [self._values(name, source) for source in sources]
        if len(tensors) < 2 or any(tensor.shape[:-1] != tensors[0].shape[:-1] for tensor in tensors):
            raise GraphError(
                f"node {name}: cannot concatenate {list(sources)}", remedy="give two or more of equal rows"
            )
        width = sum(tensor.width for tensor in tensors)
        ends, fraction = _union(tensors)
        output = _exact(name, (*tensors[0].shape[:-1], width), ends, fraction)
        return self._add(Concat(name=name, inputs=tuple(sources), tensor=output))

    def add(self, name: str, left: str, right: str) -> str:
        """Add an exact sum of two tensors of the same shape."""
        a, b = self._values(name, left), self._values(name, right)
        if a.shape != b.shape:
            raise GraphError(f"node {name}: shapes {a.shape} and {b.shape} differ", remedy="add equal shapes")
        fraction = max(a.format.fraction, b.format.fraction)
        low = sum(t.low << (fraction - t.format.fraction) for t in (a, b))
        high = sum(t.high << (fraction - t.format.fraction) for t in (a, b))
        output = _exact(name, a.shape, (low, high), fraction)
        return self._add(Add(name=name, inputs=(left, right), tensor=output))

    def edge_gather(self, name: str, nodes: str, edge_index: str) -> str:
        """Add a gather of both ends' node features [N, F] -> [E, 2F]."""
        tensor = self._values(name, nodes)
        self._require(name, nodes, "N")
        self._require_index(name, edge_index)
        low, high = min(0, tensor.low), max(0, tensor.high)  # padding gives zeros
        output = TensorType(shape=("E", 2 * tensor.width), format=tensor.format, low=low, high=high)
        return self._add(EdgeGather(name=name, inputs=(nodes, edge_index), tensor=output))

    def edge_aggregate(
        self,
        name: str,
        edges: str,
        edge_index: str,
        *,
        column: Literal[0, 1] = 1,
        mode: Literal["sum", "max"] = "sum",
    ) -> str:
        """Add a sum or maximum of edge features [E, F] -> [N, F] at one end of the edges."""
        tensor = self._values(name, edges)
        self._require(name, edges, "E")
        self._require_index(name, edge_index)
        if column not in (0, 1) or mode not in ("sum", "max"):
            raise GraphError(
                f"node {name}: column {column!r}, mode {mode!r}", remedy="use column 0 or 1, mode sum or max"
            )
        terms = self.maxima.edges if mode == "sum" else 1
        low = min(0, tensor.low * terms) if mode == "sum" else 0
        ends = low, max(0, tensor.high * terms)
        output = _exact(name, ("N", tensor.width), ends, tensor.format.fraction)
        column = 1 if column else 0  # True would index NumPy arrays as a mask
        return self._add(EdgeAggregate(name=name, inputs=(edges, edge_index), tensor=output, column=column, mode=mode))

    def output(self, name: str, source: str) -> str:
        """Name `source` as a result of the graph."""
        return self._add(Output(name=name, inputs=(source,), tensor=self._values(name, source)))

    def _add(self, node: Node) -> str:
        if not IDENTIFIER.match(node.name):
            raise GraphError(f"node name {node.name!r} is not an identifier", remedy="use letters, digits and _")
        if node.name in self.nodes:
            raise GraphError(f"node {node.name} appears twice", remedy="give each node its own name")
        self.nodes[node.name] = node
        return node.name

    def _values(self, name: str, source: str) -> TensorType:
        if source not in self.nodes:
            raise GraphError(f"node {name}: input {source!r} does not exist before it", remedy="add it first")
        if isinstance(self.nodes[source], Output):
            raise GraphError(f"node {name}: input {source} is an output", remedy="read the node the output names")
        if self.nodes[source].tensor.is_index:
            raise GraphError(f"node {name}: input {source} is an index, not values", remedy="use a feature tensor")
        return self.nodes[source].tensor

    def _require(self, name: str, source: str, dimension: str) -> None:
        shape = self.nodes[source].tensor.shape
        if len(shape) != 2 or shape[0] != dimension:
            raise GraphError(f"node {name}: input {source} has shape {shape}", remedy=f"give a tensor [{dimension}, F]")

    def _require_index(self, name: str, source: str) -> None:
        if source not in self.nodes or not self.nodes[source].tensor.is_index:
            raise GraphError(f"node {name}: input {source} is no edge index", remedy="give an edge index input")


def _exact(name: str, shape: tuple[Dimension, ...], ends: tuple[int, int], fraction: int) -> TensorType:
    try:
        format = FixedPoint.covering(*ends, fraction=fraction)
    except GraphError as error:
        raise GraphError(
            f"node {name}: its exact values {ends[0]}..{ends[1]} times 2**{-fraction} fit no format ({error.message})",
            remedy="requantize its inputs to fewer bits or nearer grids, or lower the maximal edges",
        ) from error
    return TensorType(shape=shape, format=format, low=ends[0], high=ends[1])


def _feature_shape(name: str, shape: Sequence[Dimension]) -> tuple[Dimension, int]:
    sizes = tuple(shape)
    if len(sizes) == 2:
        rows, width = sizes
        fixed = isinstance(rows, int) and not isinstance(rows, bool) and rows > 0
        if (rows in ("R", "N", "E") or fixed) and isinstance(width, int) and not isinstance(width, bool) and width > 0:
            return rows, width
    raise GraphError(
        f"input {name} has shape {sizes}", remedy='give ("R", F), ("N", F) or ("E", F) with F of 1 or more'
    )


def _union(tensors: Sequence[TensorType]) -> tuple[tuple[int, int], int]:
    fraction = max(tensor.format.fraction for tensor in tensors)
    low = min(tensor.low << (fraction - tensor.format.fraction) for tensor in tensors)
    high = max(tensor.high << (fraction - tensor.format.fraction) for tensor in tensors)
    return (low, high), fraction


def _row_sums(weight: NDArray[np.int64], tensor: TensorType) -> tuple[list[int], list[int]]:
    """Smallest and largest sum of each output, in Python integers: 62-bit products do not fit int64."""
    positive, negative = (part.astype(object).sum(axis=1) for part in (np.maximum(weight, 0), np.minimum(weight, 0)))
    ends = [(int(p), int(n)) for p, n in zip(positive, negative, strict=True)]
    return [p * tensor.low + n * tensor.high for p, n in ends], [p * tensor.high + n * tensor.low for p, n in ends]


def _frozen(
    name: str,
    what: str,
    values: NDArray[np.int64],
    format: FixedPoint,
    shape: tuple[int | None, ...],
) -> NDArray[np.int64]:
    array = np.array(values)
    if array.dtype.kind not in "iu":
        raise GraphError(f"node {name}: {what} has dtype {array.dtype}", remedy="give integers")
    if array.ndim != len(shape) or any(w not in (None, g) for w, g in zip(shape, array.shape, strict=True)):
        raise GraphError(f"node {name}: {what} has shape {array.shape}, expected {shape}", remedy="correct the array")
    if array.size == 0 or array.min() < format.low or array.max() > format.high:
        raise GraphError(
            f"node {name}: {what} is empty or exceeds {format.ap_type}", remedy="correct the values or format"
        )
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array
