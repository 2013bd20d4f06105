"""Brevitas quantizers that keep the QAT contract, by bit width.

Every scale is a power of two and every zero-point is 0, so that a quantized tensor is a fixed-point tensor:

* weights: signed, narrow (the most negative integer is not used), rounded to nearest, scale from the largest magnitude;
* activations: rounded towards minus infinity (`AP_TRN`, the cheapest in hardware), saturating; the scale starts from
  calibration statistics and is learned afterwards; ReLUs are unsigned;
* biases: signed, with a scale of their own;
* learned bit widths start at the width asked for, are parameters of the model (`...bit_width_offset`) and round to
  whole bits in every forward pass; a penalty in the loss (e.g. `brevitas.loss.WeightBitWidthWeightedBySize`) shrinks
  them. `prune.remove` of a weight builds its quantizer anew, so that the bit width starts over: remove before training.

`preset(name)` gives each quantizer by a short name; `PRESET_GRAMMAR` says how names are made.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from brevitas.inject.enum import BitWidthImplType, FloatToIntImplType
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

PRESET_GRAMMAR = "W<bits>[C][L] weights, A<bits>[S][H][L] activations, B<bits>[L] biases, 2 to 16 bits"
"""C one scale per output channel; S signed; H rounds half to even instead of down; L learns its bit width."""

Quantizer = type[Any]

_PRESET = re.compile(
    r"(?:W(?P<weight>[1-9]\d*)(?P<C>C?)|A(?P<activation>[1-9]\d*)(?P<S>S?)(?P<H>H?)|B(?P<bias>[1-9]\d*))(?P<L>L?)\Z"
)


def preset(name: str) -> Quantizer:
    """Quantizer by name.

    Args:
        name: `W4` weights of 4 bits, `W4C` the same with one scale per output channel; `A6` unsigned activations
            (ReLUs) of 6 bits, `A6S` signed ones (inputs), `A6H` rounded half to even; `B8` biases; a last `L` learns
            the bit width, e.g. `W4CL`, `A6SHL`. Letters stand in this order.

    Returns:
        Class to give as `weight_quant`, `act_quant` or `bias_quant`; the same class for the same name.

    Raises:
        ContractError: No preset has this name.
    """
    found = _PRESET.match(name)
    if found is None:
        raise ContractError(f"no preset is named {name!r}", remedy=f"use {PRESET_GRAMMAR}")
    learned = bool(found["L"])
    if found["weight"]:
        return weight_quantizer(int(found["weight"]), bool(found["C"]), learned=learned)
    if found["bias"]:
        return bias_quantizer(int(found["bias"]), learned=learned)
    rounding = "ROUND" if found["H"] else "FLOOR"
    return activation_quantizer(int(found["activation"]), signed=bool(found["S"]), rounding=rounding, learned=learned)


def preset_names() -> tuple[str, ...]:
    """Every name that `preset` takes: weights, activations, biases, by bits."""
    forms = [f"W{{}}{channel}" for channel in ("", "C")]
    forms += [f"A{{}}{sign}{rounding}" for sign in ("", "S") for rounding in ("", "H")]
    forms += ["B{}"]
    widths = range(MINIMAL_BITS, MAXIMAL_BITS + 1)
    return tuple(form.format(bits) + learned for form in forms for learned in ("", "L") for bits in widths)


@cache
def weight_quantizer(bits: int, per_channel: bool = False, *, learned: bool = False) -> Quantizer:
    """Quantizer of weights: signed, narrow, scale from the largest magnitude.

    Args:
        bits: Width, 2 to 16.
        per_channel: One power-of-two scale per output channel instead of one per tensor.
        learned: The bit width is a parameter that starts at `bits`.

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
        bit_width_impl_type = _bit_width_kind(learned)

    return WeightQuantizer


@cache
def activation_quantizer(
    bits: int, *, signed: bool, rounding: Literal["FLOOR", "ROUND"] = "FLOOR", learned: bool = False
) -> Quantizer:
    """Quantizer of activations: saturating, scale calibrated and then learned.

    Args:
        bits: Width, 2 to 16.
        signed: Signed for inputs; unsigned for ReLUs and for sums of what ReLUs gave.
        rounding: `FLOOR` (`AP_TRN`) or `ROUND` (to nearest, ties to even, `AP_RND_CONV`).
        learned: The bit width is a parameter that starts at `bits`.

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
        bit_width_impl_type = _bit_width_kind(learned)

    return ActivationQuantizer


@cache
def bias_quantizer(bits: int, *, learned: bool = False) -> Quantizer:
    """Quantizer of biases: signed, with its own power-of-two scale from the largest magnitude.

    Args:
        bits: Width, 2 to 16.
        learned: The bit width is a parameter that starts at `bits`.

    Returns:
        Class to give as `bias_quant`.

    Raises:
        ContractError: The width is out of range.
    """
    _check_bits(bits, "biases")

    class BiasQuantizer(Int8BiasPerTensorFixedPointInternalScaling):
        bit_width = bits
        scaling_min_val = SMALLEST_RANGE
        bit_width_impl_type = _bit_width_kind(learned)

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


def _bit_width_kind(learned: bool) -> BitWidthImplType:
    return BitWidthImplType.PARAMETER if learned else BitWidthImplType.CONST


def _check_bits(bits: int, what: str) -> None:
    if not MINIMAL_BITS <= bits <= MAXIMAL_BITS:
        raise ContractError(f"{bits} bits for {what}", remedy=f"choose {MINIMAL_BITS} to {MAXIMAL_BITS} bits")
