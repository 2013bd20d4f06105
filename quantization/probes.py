"""Whether a Brevitas activation quantizer computes what its attributes say, at values that tell formats apart."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core import ContractError
from .fixed_point import FixedPoint
from .refusals import PRESETS_REMEDY

OFFSETS = (0.0, 0.25, 0.5, 0.75)
NEAR = 3
FLOAT32_WIDTH = 20
"""Bits up to which all probes are exact in float32."""


def check_quantizes(name: str, quantizer: Any, form: FixedPoint) -> None:  # noqa: ANN401 - any proxy of Brevitas
    """Compare a quantizer with a format at both ends of the range, around 0, and halfway between integers.

    Rounding of one's own, ternary thresholds, a delay of the quantization and the like are in no attribute that says
    so, and would become firmware that computes other numbers.

    Args:
        name: Path of its module.
        quantizer: Activation proxy of Brevitas, e.g. `QuantReLU().act_quant`; its state and mode are left as they are.
        form: Format read from its attributes.

    Raises:
        ContractError: A value is quantized otherwise; it is named.
    """
    dtype = quantizer.scale().dtype
    if dtype != torch.float64 and (dtype != torch.float32 or form.width > FLOAT32_WIDTH):
        quantizer, dtype = copy.deepcopy(quantizer).double(), torch.float64
    values = torch.from_numpy(_probes(form)).to(dtype)
    found = _evaluated(quantizer, values)
    expected = form.to_float(form.quantize(values.numpy()))
    wrong = np.flatnonzero(found != expected)
    if wrong.size:
        at = int(wrong[0])
        raise ContractError(
            f"module {name} does not quantize as {form.ap_type}: {float(values[at]):g} gives {found[at]:g}, not"
            f" {expected[at]:g}",
            remedy=PRESETS_REMEDY,
        )


def _probes(form: FixedPoint) -> NDArray[np.float64]:
    middle = (form.low + form.high) // 2
    centres = np.array([form.low, form.low // 2, 0, middle, form.high // 2, form.high], dtype=np.float64)
    integers = np.unique(centres[:, None] + np.arange(-NEAR, NEAR + 1))
    far = [4.0 * form.low - 1, 4.0 * form.high + 1]
    return np.append((integers[:, None] + np.array(OFFSETS)).reshape(-1), far) * form.scale


def _evaluated(quantizer: Any, values: torch.Tensor) -> NDArray[np.float64]:  # noqa: ANN401 - as above
    training = quantizer.training
    quantizer.eval()
    try:
        with torch.no_grad():
            result = quantizer(values.unsqueeze(1))  # [rows, 1], as a layer gives it
    finally:
        quantizer.train(training)
    result = getattr(result, "value", result)
    return result.squeeze(1).double().numpy()
