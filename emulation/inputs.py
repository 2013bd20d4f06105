"""Validation of the tensors given to an executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from ..quantization import Input, TypedGraph


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of one call.

    Attributes:
        rows: Rows of a row network, else 0.
        nodes: Nodes of a graph network, else 0.
        edges: Edges of a graph network, else 0.

    """

    rows: int = 0
    nodes: int = 0
    edges: int = 0

    def of(self, dimension: object) -> int:
        """Size of a symbolic (`"R"`, `"N"`, `"E"`) or fixed dimension."""
        if isinstance(dimension, int):
            return dimension
        return {"R": self.rows, "N": self.nodes, "E": self.edges}[str(dimension)]


def check_inputs(graph: TypedGraph, inputs: Mapping[str, NDArray[np.generic]]) -> Sizes:
    """Check names, dtypes, shapes, finiteness and index ranges.

    Args:
        graph: The network.
        inputs: float32 features by name; integer `edge_index` [E, 2], indices at or above the node count are padding.

    Returns:
        The sizes found.

    Raises:
        DataError: A tensor is missing, unknown or malformed; the message names it and the limit.

    """
    sizes = check_shapes(graph, inputs)
    for node in graph.inputs:
        _check_values(node, np.asarray(inputs[node.name]))
    return sizes


def check_shapes(graph: TypedGraph, inputs: Mapping[str, NDArray[np.generic]]) -> Sizes:
    """Check names, dtypes and shapes, as `check_inputs`, and leave the values to the executor.

    Raises:
        DataError: As `check_inputs`.

    """
    nodes = graph.inputs
    if len(inputs) != len(nodes) or any(node.name not in inputs for node in nodes):
        raise DataError(
            f"network {graph.name} got inputs {sorted(inputs)}", remedy=f"give {[node.name for node in nodes]}"
        )
    found: dict[str, int] = {}
    for node in nodes:
        _check_tensor(node, inputs[node.name], found)
    return Sizes(rows=found.get("R", 0), nodes=found.get("N", 0), edges=found.get("E", 0))


def _check_tensor(node: Input, array: NDArray[np.generic], found: dict[str, int]) -> None:
    name, tensor = node.name, node.tensor
    kind = "integers" if tensor.is_index else "float32"
    array = np.asarray(array)
    if (tensor.is_index and array.dtype.kind not in "iu") or (not tensor.is_index and array.dtype != np.float32):
        raise DataError(f"input {name} has dtype {array.dtype}", remedy=f"give {kind}")
    if array.ndim != len(tensor.shape):
        raise DataError(f"input {name} has shape {array.shape}", remedy=f"give shape {tensor.shape}")
    for want, have in zip(tensor.shape, array.shape, strict=True):
        limit = found.setdefault(want, have) if isinstance(want, str) else want
        if have != limit:
            raise DataError(f"input {name} has shape {array.shape}, {want} is {limit}", remedy=f"give {tensor.shape}")


def _check_values(node: Input, array: NDArray[np.generic]) -> None:
    name = node.name
    if node.tensor.is_index:
        if array.size and int(array.min()) < 0:
            raise DataError(f"input {name} holds a negative index", remedy="use node numbers from 0")
    elif not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(f"input {name} holds NaN or an infinite value in row {row}", remedy="remove the row")
