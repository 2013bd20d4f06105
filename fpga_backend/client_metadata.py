"""What a model takes and gives, as clients see it, and how it differs from what is expected of its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..core import DataError, ServiceError
from .chain_files import INTERFACES
from .names import TRACKING
from .signature import Arrays, Signature, Tensor

DTYPES = {
    "BOOL": np.bool_,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP32": np.float32,
    "FP64": np.float64,
}
RESULTS = ("embedding", "logits")  # names of a network's tensors that are outputs


class TensorMetadata(NamedTuple):
    """Data type and shape of a tensor.

    Attributes:
        data_type: KServe's name of the element type, as `FP32`.
        shape: Sizes; -1 varies by request, None (in what is expected) accepts any.
    """

    data_type: str
    shape: tuple[int | None, ...]

    def describe(self) -> str:
        """Type and shape in words, as `FP32 [-1, 6]`."""
        return f"{self.data_type} [{', '.join('any' if size is None else str(size) for size in self.shape)}]"


Tensors = Mapping[str, TensorMetadata]


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What a model takes and gives.

    Attributes:
        name: Model name.
        platform: What computes it, in words.
        inputs: Inputs by name.
        outputs: Outputs by name.
        optional: Inputs that may be left out.
    """

    name: str
    platform: str
    inputs: Tensors
    outputs: Tensors
    optional: frozenset[str] = frozenset()

    @classmethod
    def of_signature(cls, name: str, signature: Signature, *, platform: str) -> ModelMetadata:
        """Metadata of a model that runs in this process."""
        inputs, outputs = (
            {tensor.name: _of_tensor(tensor) for tensor in tensors} for tensors in (signature.inputs, signature.outputs)
        )
        optional = frozenset(tensor.name for tensor in signature.inputs if tensor.optional)
        return cls(name=name, platform=platform, inputs=inputs, outputs=outputs, optional=optional)

    def check_inputs(self, inputs: Arrays) -> None:
        """Check names, dtypes and fixed sizes of a request before it travels.

        Raises:
            DataError: Names the tensor and what is wrong with it.
        """
        missing = sorted(self.inputs.keys() - self.optional - inputs.keys())
        unknown = sorted(inputs.keys() - self.inputs.keys())
        if missing or unknown:
            what = f"lacks tensor {missing[0]}" if missing else f"has no tensor {unknown[0]}"
            raise DataError(f"request to {self.name} {what}", remedy=f"give {sorted(self.inputs)}")
        for name, array in inputs.items():
            wanted = self.inputs[name]
            fits = array.ndim == len(wanted.shape) and all(
                want in (-1, have) for want, have in zip(wanted.shape, array.shape, strict=True)
            )
            if array.dtype != DTYPES.get(wanted.data_type) or not fits:
                raise DataError(
                    f"tensor {name} is {array.dtype} {list(array.shape)}", remedy=f"give {wanted.describe()}"
                )


def expected_metadata(model: str) -> ModelMetadata:
    """What a model of this name must take and give; None in a shape is any size.

    Args:
        model: embedding, filter, interaction_network or tracking.

    Raises:
        ServiceError: There is no such model.
    """
    if model == TRACKING:
        inputs = {"FEATURES": TensorMetadata("FP32", (-1, 3))}
        outputs = {"LABELS": TensorMetadata("INT64", (-1,))}
        return ModelMetadata(name=model, platform="any", inputs=inputs, outputs=outputs)
    if model not in INTERFACES:
        raise ServiceError(f"there is no model {model}", remedy=f"use one of {[*INTERFACES, TRACKING]}")
    tensors = {
        name: TensorMetadata(
            "INT64" if name == "edge_index" else "FP32",
            tuple(-1 if isinstance(size, str) else size for size in shape),
        )
        for name, shape in INTERFACES[model].items()
    }
    return ModelMetadata(
        name=model,
        platform="any",
        inputs={name: tensor for name, tensor in tensors.items() if name not in RESULTS},
        outputs={name: tensor for name, tensor in tensors.items() if name in RESULTS},
    )


def differences(expected: ModelMetadata, served: ModelMetadata) -> list[str]:
    """What of a served model a client cannot work with, tensor by tensor.

    Outputs beyond those expected do no harm, as they are not asked for; inputs beyond them must be optional.

    Args:
        expected: What the client needs.
        served: What the server says it has.

    Returns:
        One sentence for each difference; empty where there is none.
    """
    found = _of_kind("input", expected.inputs, served.inputs)
    found += [
        f"input {name} is not known to this client, and must be given"
        for name in sorted(served.inputs.keys() - expected.inputs.keys() - served.optional)
    ]
    return found + _of_kind("output", expected.outputs, served.outputs)


def _of_kind(kind: str, expected: Tensors, served: Tensors) -> list[str]:
    found = []
    for name, wanted in sorted(expected.items()):
        tensor = served.get(name)
        if tensor is None:
            found.append(f"{kind} {name} is missing; there are {sorted(served)}")
            continue
        if tensor.data_type != wanted.data_type:
            found.append(f"{kind} {name} has type {tensor.data_type}, expected {wanted.data_type}")
        same = len(wanted.shape) == len(tensor.shape) and all(
            want in (None, have) for want, have in zip(wanted.shape, tensor.shape, strict=True)
        )
        if not same:
            found.append(f"{kind} {name} is {tensor.describe()}, expected {wanted.describe()}")
    return found


def _of_tensor(tensor: Tensor) -> TensorMetadata:
    shape = tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    return TensorMetadata(tensor.data_type.removeprefix("TYPE_"), shape)
