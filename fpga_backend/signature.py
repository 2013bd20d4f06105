"""What a served model takes and gives: the file `signature.json` that clients, worker and C++ backend share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..core import DataError, GraphError, StrictModel, atomic_file
from ..quantization import TypedGraph

FILE_NAME = "signature.json"
MAXIMAL_ROWS = 1_000_000
MAXIMAL_NODES = 1_000_000
MAXIMAL_EDGES = 4_000_000
MAXIMAL_HITS = 1_000_000

Arrays = Mapping[str, NDArray[Any]]
DTYPES: dict[str, np.dtype[Any]] = {"TYPE_FP32": np.dtype(np.float32), "TYPE_INT64": np.dtype(np.int64)}


class Tensor(StrictModel):
    """One tensor.

    Attributes:
        name: Its name.
        data_type: Triton's name of its element type.
        shape: Sizes; a symbol stands for a size that varies by request and is the same wherever the symbol occurs.
        index_into: Symbol whose size bounds the values (0 <= value < size), for indices.
        optional: An input that requests may leave out.
    """

    name: str
    data_type: Literal["TYPE_FP32", "TYPE_INT64"]
    shape: tuple[int | str, ...]
    index_into: str | None = None
    optional: bool = False

    def describe(self) -> str:
        """Type and shape in words, as `FP32 [R, 6]`."""
        return f"{self.data_type.removeprefix('TYPE_')} [{', '.join(str(size) for size in self.shape)}]"


class Signature(StrictModel):
    """Inputs and outputs of one model.

    Attributes:
        version: Version of the file.
        max_batch_size: 0, or the largest number of rows of one batch: then `"R"` is the first dimension of every
            tensor, and the server joins the rows of several requests.
        inputs: Inputs in order.
        outputs: Outputs in order.
        limits: Largest size of each symbol.
    """

    version: Literal[1] = 1
    max_batch_size: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    limits: dict[str, int]

    def check(self, inputs: Arrays) -> dict[str, int]:
        """Check names, dtypes, shapes, limits, finiteness and index ranges of a request.

        Args:
            inputs: Tensors by name.

        Returns:
            Size of every symbol.

        Raises:
            DataError: Names the tensor and what is wrong with it.
        """
        names = [tensor.name for tensor in self.inputs]
        needed = {tensor.name for tensor in self.inputs if not tensor.optional}
        if not needed <= inputs.keys() <= set(names):
            raise DataError(f"got tensors {sorted(inputs)}", remedy=f"give {names}")
        given = [tensor for tensor in self.inputs if tensor.name in inputs]
        sizes: dict[str, int] = {}
        for tensor in given:
            _check_shape(tensor, np.asarray(inputs[tensor.name]), self.limits, sizes)
        for tensor in given:
            _check_values(tensor, np.asarray(inputs[tensor.name]), sizes)
        return sizes

    def save(self, directory: Path) -> None:
        """Write `signature.json` into `directory`."""
        with atomic_file(directory / FILE_NAME) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Signature:
        """Read `signature.json` of `directory`.

        Raises:
            GraphError: It is missing or malformed.
        """
        path = directory / FILE_NAME
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            reason = " ".join(str(error).split())
            raise GraphError(f"cannot read {path}: {reason}", remedy="write the repository again") from error


def network_signature(graph: TypedGraph, *, device: str = "native") -> Signature:
    """Signature under which one network is served.

    Args:
        graph: The network.
        device: Device; C simulation and firmware have static sizes, hence lower limits.

    Returns:
        Rows are batched; a graph network takes one graph at a time.
    """
    inputs = tuple(
        Tensor(
            name=node.name,
            data_type="TYPE_INT64" if node.tensor.is_index else "TYPE_FP32",
            shape=node.tensor.shape,
            index_into="N" if node.tensor.is_index else None,
        )
        for node in graph.inputs
    )
    outputs = tuple(Tensor(name=node.name, data_type="TYPE_FP32", shape=node.tensor.shape) for node in graph.outputs)
    if not graph.is_graph_network:
        limits = {"R": MAXIMAL_ROWS}
    elif device in ("csim", "xrt"):
        limits = {"N": graph.maxima.nodes, "E": graph.maxima.edges}
    else:
        limits = {"N": MAXIMAL_NODES, "E": MAXIMAL_EDGES}
    return Signature(max_batch_size=limits.get("R", 0), inputs=inputs, outputs=outputs, limits=limits)


def tracking_signature() -> Signature:
    """Signature of the whole chain: FEATURES (r in mm, phi in rad, z in mm) to LABELS (-1 is no track).

    A client may also ask for the edges that the filter kept (EDGE_INDEX) and their logits (SCORES), and give an
    EVENT_ID that comes back with the answer.
    """
    event_id = Tensor(name="EVENT_ID", data_type="TYPE_INT64", shape=(1,))
    return Signature(
        max_batch_size=0,
        inputs=(
            Tensor(name="FEATURES", data_type="TYPE_FP32", shape=("H", 3)),
            event_id.model_copy(update={"optional": True}),
        ),
        outputs=(
            Tensor(name="LABELS", data_type="TYPE_INT64", shape=("H",)),
            event_id,
            Tensor(name="EDGE_INDEX", data_type="TYPE_INT64", shape=("E", 2)),
            Tensor(name="SCORES", data_type="TYPE_FP32", shape=("E",)),
        ),
        limits={"H": MAXIMAL_HITS},
    )


def _check_shape(tensor: Tensor, array: NDArray[Any], limits: Mapping[str, int], sizes: dict[str, int]) -> None:
    found = f"tensor {tensor.name} is {array.dtype} {list(array.shape)}"
    remedy = f"give {tensor.describe()}"
    if array.dtype != DTYPES[tensor.data_type] or array.ndim != len(tensor.shape):
        raise DataError(found, remedy=remedy)
    for want, have in zip(tensor.shape, array.shape, strict=True):
        if isinstance(want, int):
            if have != want:
                raise DataError(found, remedy=remedy)
        elif have > limits.get(want, have):
            raise DataError(f"{found}, above the limit {want} <= {limits[want]}", remedy="send less at a time")
        elif sizes.setdefault(want, have) != have:
            raise DataError(f"{found}, but {want} = {sizes[want]} elsewhere", remedy=remedy)


def _check_values(tensor: Tensor, array: NDArray[Any], sizes: Mapping[str, int]) -> None:
    if array.size == 0:
        return
    if tensor.data_type == "TYPE_FP32" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(f"tensor {tensor.name} row {row} is not finite", remedy="remove the row")
    if tensor.index_into is not None:
        limit = sizes[tensor.index_into]
        if int(array.min()) < 0 or int(array.max()) >= limit:
            raise DataError(
                f"tensor {tensor.name} spans {array.min()} to {array.max()}, outside 0 <= index < {limit}",
                remedy="give indices of rows that exist",
            )
