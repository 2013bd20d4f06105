"""Brevitas quantizers that keep the QAT contract, by bit width.

Every scale is a power of two and every zero-point is 0, so that a quantized tensor is a fixed-point tensor:

* weights: signed, narrow (the most negative integer is not used), rounded to nearest, scale from the largest magnitude;
* activations: rounded towards minus infinity (`AP_TRN`, the cheapest in hardware), saturating; the scale starts from
  calibration statistics and is learned afterwards; ReLUs are unsigned;
* biases: signed, with a scale of their own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from brevitas.inject.enum import FloatToIntImplType
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant.fixed_point import (
    Int8ActPerTensorFixedPoint,
    Int8BiasPerTensorFixedPointInternalScaling,
    Int8WeightPerChannelFixedPoint,
    Int8WeightPerTensorFixedPoint,
    Uint8ActPerTensorFixedPoint,
)
from torch import nn

from ..core import ContractError

MINIMAL_BITS = 2
MAXIMAL_BITS = 16
CALIBRATION_STEPS = 20
"""Training passes that only collect activation statistics; the scale is a power of two, and learned, from then on."""

SMALLEST_RANGE = 2.0**-6
"""Least magnitude a scale covers: an all-zero bias or a dead activation must not ask for dozens of fraction bits."""

Quantizer = type[Any]


@cache
def weight_quantizer(bits: int, per_channel: bool = False) -> Quantizer:
    """Quantizer of weights: signed, narrow, scale from the largest magnitude.

    Args:
        bits: Width, 2 to 16.
        per_channel: One power-of-two scale per output channel instead of one per tensor.

    Returns:
        Class to give as `weight_quant`.

    Raises:
        ContractError: The width is out of range.
    """
    _check_bits(bits, "weights")
    base: Any = Int8WeightPerChannelFixedPoint if per_channel else Int8WeightPerTensorFixedPoint

    class WeightQuantizer(base):
        bit_width = bits
        scaling_min_val = SMALLEST_RANGE

    return WeightQuantizer


@cache
def activation_quantizer(bits: int, *, signed: bool, rounding: Literal["FLOOR", "ROUND"] = "FLOOR") -> Quantizer:
    """Quantizer of activations: saturating, scale calibrated and then learned.

    Args:
        bits: Width, 2 to 16.
        signed: Signed for inputs; unsigned for ReLUs and for sums of what ReLUs gave.
        rounding: `FLOOR` (`AP_TRN`) or `ROUND` (to nearest, ties to even, `AP_RND_CONV`).

    Returns:
        Class to give as `act_quant`.

    Raises:
        ContractError: The width is out of range.
    """
    _check_bits(bits, "activations")
    base: Any = Int8ActPerTensorFixedPoint if signed else Uint8ActPerTensorFixedPoint

    class ActivationQuantizer(base):
        bit_width = bits
        float_to_int_impl_type = FloatToIntImplType[rounding]
        collect_stats_steps = CALIBRATION_STEPS
        # Brevitas 0.13 applies this to the range while training but to the scale of one step when evaluating.
        scaling_min_val = SMALLEST_RANGE * 2.0**-bits

    return ActivationQuantizer


@cache
def bias_quantizer(bits: int) -> Quantizer:
    """Quantizer of biases: signed, with its own power-of-two scale from the largest magnitude.

    Args:
        bits: Width, 2 to 16.

    Returns:
        Class to give as `bias_quant`.

    Raises:
        ContractError: The width is out of range.
    """
    _check_bits(bits, "biases")

    class BiasQuantizer(Int8BiasPerTensorFixedPointInternalScaling):
        bit_width = bits
        scaling_min_val = SMALLEST_RANGE

    return BiasQuantizer


def quantized_identity(bits: int, *, signed: bool = True) -> QuantIdentity:
    """A requantization: for inputs (signed) and after aggregates of ReLU outputs (unsigned)."""
    return QuantIdentity(act_quant=activation_quantizer(bits, signed=signed))


def quantized_mlp(
    widths: Sequence[int],
    *,
    weight_bits: int,
    activation_bits: int,
    bias_bits: int | None = None,
    per_channel: bool = False,
    last_activation: bool = False,
) -> nn.Sequential:
    """Multilayer perceptron of QuantLinear and QuantReLU; its input is expected to be quantized.

    Args:
        widths: Input width, hidden widths, output width: at least two.
        weight_bits: Width of the weights, 2 to 16.
        activation_bits: Width of the unsigned activations, 2 to 16.
        bias_bits: Width of the biases; None takes that of the activations.
        per_channel: Weight scales per output channel.
        last_activation: End with a ReLU; otherwise the outputs are the exact sums (logits).

    Returns:
        Layers `dense0, relu0, dense1, ...`.

    Raises:
        ContractError: Too few layers, or a width out of range.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ContractError(f"layer widths {list(widths)} make no network", remedy="give two or more positive widths")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    last = len(widths) - 2
    for index in range(last + 1):
        layers[f"dense{index}"] = QuantLinear(
            widths[index],
            widths[index + 1],
            bias=True,
            weight_quant=weight_quantizer(weight_bits, per_channel),
            bias_quant=bias_quantizer(activation_bits if bias_bits is None else bias_bits),
        )
        if index < last or last_activation:
            layers[f"relu{index}"] = QuantReLU(act_quant=activation_quantizer(activation_bits, signed=False))
    return nn.Sequential(layers)


def _check_bits(bits: int, what: str) -> None:
    if not MINIMAL_BITS <= bits <= MAXIMAL_BITS:
        raise ContractError(f"{bits} bits for {what}", remedy=f"choose {MINIMAL_BITS} to {MAXIMAL_BITS} bits")
