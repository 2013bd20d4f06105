"""Constants and quantizers of QONNX files as integers and fixed-point formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from .fixed_point import FixedPoint, Rounding
from .qonnx_export import import_onnx

ROUNDINGS: dict[str, Rounding] = {"ROUND": "RND_CONV", "HALF_EVEN": "RND_CONV", "FLOOR": "TRN"}


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A constant tensor.

    Attributes:
        values: float64, as stored or quantized.
        integers: int64 of the same shape on the grid of `format`; None before a Quant.
        format: Format of the integers.

    """

    values: NDArray[np.float64]
    integers: NDArray[np.int64] | None = None
    format: FixedPoint | None = None

    def moved(self, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Constant:
        """The constant with its elements moved, e.g. transposed."""
        try:
            integers = None if self.integers is None else move(self.integers)
            return Constant(values=move(self.values), integers=integers, format=self.format)
        except ValueError as error:
            raise GraphError(f"a constant of shape {self.values.shape}: {error}", remedy="export it again") from error


def tensor_values(tensor: Any, what: str) -> NDArray[np.float64]:  # noqa: ANN401 - onnx.TensorProto
    """Values of a stored tensor.

    Raises:
        GraphError: They are elsewhere, malformed, or no numbers; the message begins with `what`.

    """
    onnx = import_onnx()
    if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise GraphError(f"{what} is not stored in the file", remedy="save the model without external data")
    try:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype.kind in "fiub":
            return np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError, KeyError) as error:
        raise GraphError(f"{what} is malformed: {error}", remedy="export the model again") from error
    raise GraphError(f"{what} has dtype {values.dtype}", remedy="store numbers")


def constant_values(attributes: dict[str, Any], what: str) -> NDArray[np.float64]:
    """Values of a Constant node; errors as those of `tensor_values`."""
    for key in ("value_float", "value_floats", "value_int", "value_ints"):
        if key in attributes:
            return np.asarray(attributes[key], dtype=np.float64)
    return tensor_values(attributes.get("value"), what)


def quantizer_format(name: str, parameters: Sequence[NDArray[np.float64]], attributes: dict[str, Any]) -> FixedPoint:
    """Format of a Quant of features: parameters scale, zero point and bits.

    Raises:
        GraphError: It is no fixed-point format; the message names the node and what to do.

    """
    scales = parameters[0].reshape(-1)
    if scales.size == 0 or (scales != scales[0]).any():
        raise GraphError(f"node {name} has one scale per channel of features", remedy="use one scale")
    return _format(name, scales[:1], parameters, attributes)[0]


def quantized_constant(
    name: str, constant: Constant, parameters: Sequence[NDArray[np.float64]], attributes: dict[str, Any]
) -> Constant:
    """A constant after its Quant; scales per channel become one finest grid.

    Raises:
        GraphError: The Quant is no fixed-point format, or the values are not finite.

    """
    scale = parameters[0].reshape(()) if parameters[0].size == 1 else parameters[0]
    try:
        scales = np.broadcast_to(scale, constant.values.shape)
    except ValueError as error:
        raise GraphError(f"node {name} has scales of shape {scale.shape}", remedy="give one per channel") from error
    unique, place = np.unique(scales, return_inverse=True)
    forms = _format(name, unique, parameters, attributes)
    fraction = max(form.fraction for form in forms)
    integers = np.zeros(constant.values.shape, dtype=np.int64)
    for number, form in enumerate(forms):
        chosen = place.reshape(scales.shape) == number
        own = form.quantize(constant.values[chosen])
        wide = [int(value) << (fraction - form.fraction) for value in own]
        if any(abs(value) >= 1 << 61 for value in wide):
            raise GraphError(f"node {name}: scales per channel are too far apart", remedy="bring them nearer")
        integers[chosen] = wide
    form = forms[0]
    if len(forms) > 1:
        form = FixedPoint.covering(int(integers.min()), int(integers.max()), fraction=fraction)
    return Constant(values=form.to_float(integers), integers=integers, format=form)


def _format(
    name: str, scales: NDArray[np.float64], parameters: Sequence[NDArray[np.float64]], attributes: dict[str, Any]
) -> list[FixedPoint]:
    _, zero_point, bits = parameters
    if np.any(zero_point != 0):
        raise GraphError(f"node {name} has a zero point that is not 0", remedy="quantize symmetrically, zero point 0")
    if bits.size != 1 or float(bits.reshape(-1)[0]) % 1 != 0:
        raise GraphError(f"node {name} has {bits.tolist()} bits", remedy="give one whole number of bits")
    width = int(bits.reshape(-1)[0])
    mode = str(attributes.get("rounding_mode", "ROUND")).upper()
    if mode not in ROUNDINGS:
        raise GraphError(f"node {name} rounds by {mode}", remedy=f"use one of {', '.join(ROUNDINGS)}")
    signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
    if signed and width == 1:
        raise GraphError(f"node {name} has one signed bit, which QONNX takes as -1 and 1", remedy="use 2 bits")
    if narrow and not signed:
        raise GraphError(f"node {name} is unsigned and narrow", remedy="use narrow 0")
    forms = []
    for scale in scales:
        mantissa, exponent = np.frexp(scale)
        if mantissa != 0.5:
            raise GraphError(f"node {name} has the scale {scale}, no power of two", remedy="train with such scales")
        fraction = 1 - int(exponent)
        overflow = "SAT_SYM" if narrow else "SAT"
        try:
            forms.append(
                FixedPoint(
                    signed=signed, width=width, integer=width - fraction, rounding=ROUNDINGS[mode], overflow=overflow
                )
            )
        except GraphError as error:
            raise GraphError(f"node {name}: {error.message}", remedy=error.remedy) from error
    return forms
