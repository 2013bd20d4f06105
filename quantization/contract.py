"""The QAT contract: what a Brevitas model must be made of so that firmware can equal it bit for bit.

Each rule is checked on the trained module itself; every violation names the module, the rule and the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import prune

from ..core import ContractError, GraphError
from .fixed_point import FixedPoint, Overflow, Rounding
from .modules import EdgeAggregate, EdgeGather
from .probes import check_quantizes
from .refusals import PRESETS_REMEDY, module_remedy

ROUNDINGS: dict[str, Rounding] = {"FLOOR": "TRN", "ROUND": "RND_CONV"}
PASS_THROUGH = (nn.modules.dropout._DropoutNd, nn.Identity)
"""Modules that do nothing in evaluation mode."""

QUANTIZED = (qnn.QuantLinear, qnn.QuantReLU, qnn.QuantIdentity)
LEAVES = (*QUANTIZED, EdgeGather, EdgeAggregate)
"""Modules with a node of their own; subclasses are taken as long as they keep what they compute."""

COMPUTING = ("forward", "forward_impl", "inner_forward_impl", "quant_bias", "unpack_input", "pack_output")
"""Methods of Brevitas' layers through which a subclass could compute something else."""

PROVEN_BITS = 16
"""Widths that the property tests cover."""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken rule of the contract.

    Attributes:
        module: Path of the module, or of the operation, in the model.
        rule: What is wrong.
        remedy: What to do.
    """

    module: str
    rule: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class QuantizedArray:
    """Integers of a quantized parameter with their format."""

    integers: NDArray[np.int64]
    format: FixedPoint


def module_errors(name: str, module: nn.Module) -> Iterator[ContractError]:
    """Errors of one module: for a QuantLinear those of its weights and of its bias, otherwise the first."""
    checks: Sequence[Callable[[str, Any], object]] = (_check_kind,)
    layer: Any = module
    if isinstance(module, qnn.QuantLinear):
        checks = (_check_kind, weight_of, bias_of)
    elif isinstance(module, qnn.QuantReLU | qnn.QuantIdentity):
        checks = (_check_kind, _check_activation)
    for check in checks:
        try:
            check(name, layer)
        except ContractError as error:
            yield error


def _check_kind(name: str, module: nn.Module) -> None:
    if isinstance(module, LEAVES):
        _check_computation(name, module)
        if isinstance(module, QUANTIZED):
            _check_no_other_quantizer(name, module)
    elif not isinstance(module, (nn.Sequential, nn.ModuleList, *PASS_THROUGH)):
        raise ContractError(
            f"module {name} is {type(module).__name__}, which firmware has no node for", remedy=module_remedy(module)
        )


def _check_computation(name: str, module: nn.Module) -> None:
    """Nothing between the module and its users but what its class computes."""
    base = next(kind for kind in LEAVES if isinstance(module, kind))
    for method in COMPUTING:
        overridden = getattr(type(module), method, None) is not getattr(base, method, None)
        if overridden or method in vars(module):
            raise ContractError(
                f"module {name} overrides the {method} of {base.__name__}", remedy=f"use {base.__name__} itself"
            )
    check_no_hooks(f"module {name}", module)


def check_no_hooks(what: str, module: nn.Module) -> None:
    """Hooks of the forward pass may change what goes in or comes out, and torch.fx does not see them.

    Raises:
        ContractError: The module has one that is not a pruning mask.

    """
    for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()):
        if not isinstance(hook, prune.BasePruningMethod):
            kind = getattr(hook, "__name__", type(hook).__name__)
            raise ContractError(
                f"{what} has the forward hook {kind}",
                remedy="remove it before (handle.remove(), or torch.nn.utils.remove_weight_norm)",
            )


def _check_no_other_quantizer(name: str, module: nn.Module) -> None:
    for attribute in ("input_quant", "output_quant"):
        if getattr(getattr(module, attribute, None), "is_quant_enabled", False):
            raise ContractError(
                f"module {name} has an {attribute} of its own", remedy="put a QuantIdentity in its place in forward"
            )


def activation_format(name: str, module: qnn.QuantReLU | qnn.QuantIdentity) -> FixedPoint:
    """Format of a QuantReLU or QuantIdentity.

    Raises:
        ContractError: Its quantizer is off or not calibrated, its scale is not a power of two or not one, its
            zero-point is not 0, a QuantReLU is signed, an unsigned range is narrow, or its rounding is neither floor
            nor half-even.

    """
    quantizer: Any = module.act_quant
    if not getattr(quantizer, "is_quant_enabled", False):
        raise ContractError(f"module {name} does not quantize", remedy=PRESETS_REMEDY)
    if not hasattr(quantizer, "bit_width"):
        raise ContractError(f"module {name} quantizes to floating point", remedy=PRESETS_REMEDY)
    _check_calibrated(name, quantizer)
    scales = quantizer.scale()
    if scales is None:
        raise ContractError(f"module {name} takes its scale from each batch", remedy=PRESETS_REMEDY)
    if float(quantizer.zero_point().abs().max()) != 0:
        raise ContractError(f"module {name} has a zero-point", remedy="use a symmetric or unsigned quantizer")
    signed = bool(quantizer.is_signed)
    if isinstance(module, qnn.QuantReLU) and signed:
        raise ContractError(f"module {name} is a signed QuantReLU", remedy="use an unsigned activation quantizer")
    narrow = bool(quantizer.is_narrow_range)
    if narrow and not signed:
        raise ContractError(f"module {name} is unsigned and narrow", remedy="use narrow_range=False")
    if scales.numel() != 1:
        raise ContractError(f"module {name} has one scale per channel", remedy="use a per-tensor activation scale")
    rounding = str(quantizer.rounding_mode).upper()
    if rounding not in ROUNDINGS:
        raise ContractError(f"module {name} rounds by {rounding}", remedy="use FLOOR or ROUND")
    overflow: Overflow = "SAT_SYM" if narrow else "SAT"
    width = whole_bits(name, quantizer.bit_width())
    if narrow and width < 2:
        raise ContractError(f"module {name} is binary: -1 and 1", remedy="use 2 bits or more")
    integer = width - _fraction(name, scales)
    return FixedPoint(signed=signed, width=width, integer=integer, rounding=ROUNDINGS[rounding], overflow=overflow)


def _check_activation(name: str, module: qnn.QuantReLU | qnn.QuantIdentity) -> None:
    check_quantizes(name, module.act_quant, activation_format(name, module))


def weight_of(name: str, module: qnn.QuantLinear) -> QuantizedArray:
    """Integer weights [out, in] of a QuantLinear, on the finest grid of its channels.

    Raises:
        ContractError: The weights are not quantized, not on a power-of-two grid, have a zero-point, or depend on the
            input.

    """
    quantizer: Any = module.weight_quant
    if not getattr(quantizer, "is_quant_enabled", False):
        raise ContractError(f"module {name} has float weights", remedy=PRESETS_REMEDY)
    if getattr(quantizer, "requires_quant_input", False):
        raise ContractError(f"module {name} has weights quantized by its input", remedy=PRESETS_REMEDY)
    apply_pruning_masks(module)
    with torch.no_grad():
        quantized: Any = module.quant_weight()
    if not hasattr(quantized, "bit_width"):
        raise ContractError(f"module {name} quantizes its weights to floating point", remedy=PRESETS_REMEDY)
    if float(quantized.zero_point.abs().max()) != 0:
        raise ContractError(f"module {name} has weights with a zero-point", remedy="use a symmetric weight quantizer")
    whole_bits(name, quantized.bit_width)
    return _covering(name, "weight", quantized.value, quantized.scale)


def bias_of(name: str, module: qnn.QuantLinear) -> QuantizedArray | None:
    """Integer bias [out] of a QuantLinear, or None without one.

    Raises:
        ContractError: The bias is not quantized or not on a power-of-two grid.

    """
    if module.bias is None:
        return None
    quantizer: Any = module.bias_quant
    if not getattr(quantizer, "is_quant_enabled", False):
        raise ContractError(f"module {name} has a float bias", remedy=PRESETS_REMEDY)
    if getattr(quantizer, "requires_input_scale", False):
        raise ContractError(
            f"module {name} has a bias scaled by its input", remedy="use a bias quantizer with internal scaling"
        )
    with torch.no_grad():
        quantized: Any = module.quant_bias()
    whole_bits(name, quantized.bit_width)
    return _covering(name, "bias", quantized.value, quantized.scale)


def apply_pruning_masks(module: nn.Module) -> None:
    """Bring pruned parameters of a module and its children up to date, as calling them would.

    `torch.nn.utils.prune` derives `weight` from `weight_orig` and `weight_mask` in a hook of the forward pass, so that
    between an optimizer's step and the next pass it is stale; nor can a model be copied while it holds gradients.
    """
    with torch.no_grad():
        for child in module.modules():
            for hook in child._forward_pre_hooks.values():
                if isinstance(hook, prune.BasePruningMethod):
                    hook(child, ())


def _covering(name: str, what: str, values: torch.Tensor, scales: torch.Tensor) -> QuantizedArray:
    fraction = _fraction(name, scales)
    scaled = values.detach().double().cpu().numpy() * 2.0**fraction
    integers = np.rint(scaled)
    if not np.isfinite(scaled).all() or not np.array_equal(integers, scaled):
        raise ContractError(f"module {name}: {what} is not on the grid of its scale", remedy="train it again")
    whole = integers.astype(np.int64)
    low, high = min(int(whole.min()), -1), max(int(whole.max()), 0)
    try:
        return QuantizedArray(integers=whole, format=FixedPoint.covering(low, high, fraction=fraction))
    except GraphError as error:
        raise ContractError(
            f"module {name}: {what} fits no format: {error.message}",
            remedy="bring the scales of its channels nearer, as the presets do",
        ) from error


def whole_bits(name: str, bits: torch.Tensor) -> int:
    """A bit width as an integer.

    Raises:
        ContractError: It is learned and not rounded.

    """
    value = float(bits.detach())
    if not value.is_integer():
        raise ContractError(
            f"module {name} has {value} bits", remedy="round the learned bit width, as the presets that end in L do"
        )
    return int(value)


def _check_calibrated(name: str, quantizer: Any) -> None:  # noqa: ANN401 - Brevitas' proxies have no common type
    scaling = getattr(quantizer.fused_activation_quant_proxy.tensor_quant, "scaling_impl", None)
    steps, counter = getattr(scaling, "collect_stats_steps", None), getattr(scaling, "counter", None)
    if scaling is not None and steps is not None and counter is not None and counter <= steps:
        kinds = {getattr(part, "original_name", type(part).__name__) for part in scaling.modules()}
        if "PowerOfTwoRestrictValue" not in kinds:
            raise ContractError(f"module {name} has a scale that is not a power of two", remedy=PRESETS_REMEDY)
        raise ContractError(
            f"module {name} is not calibrated: {counter} of {steps + 1} training passes",
            remedy=f"run {steps + 1} forward passes in training mode",
        )


def _fraction(name: str, scales: torch.Tensor) -> int:
    mantissas, exponents = np.frexp(scales.detach().double().cpu().numpy())
    if not np.isfinite(mantissas).all():
        raise ContractError(f"module {name} has a scale of NaN or infinity", remedy="train it again")
    if not np.all(mantissas == 0.5):
        raise ContractError(f"module {name} has a scale that is not a power of two", remedy=PRESETS_REMEDY)
    return int(1 - exponents.min())
