"""The QAT contract: what a Brevitas model must be made of so that firmware can equal it bit for bit.

Each rule is checked on the trained module itself; every violation names the module, the rule and the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import prune

from ..core import ContractError
from .fixed_point import FixedPoint, Overflow, Rounding
from .modules import EdgeAggregate, EdgeGather

ROUNDINGS: dict[str, Rounding] = {"FLOOR": "TRN", "ROUND": "RND_CONV"}
PASS_THROUGH = (nn.Dropout, nn.Identity)
PRESETS_REMEDY = "use the presets in hitfabric.quantization.presets"


@dataclass(frozen=True, kw_only=True)
class QuantizedArray:
    """Integers of a quantized parameter with their format."""

    integers: NDArray[np.int64]
    format: FixedPoint


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken rule of the contract."""

    module: str
    rule: str
    remedy: str


def lint(model: nn.Module) -> list[Violation]:
    """Check every module of a model against the contract.

    Args:
        model: Brevitas model; it is put into evaluation mode.

    Returns:
        The violations, empty where the model can become firmware.

    """
    model.eval()
    violations: list[Violation] = []
    for name, module in model.named_modules():
        if _is_inside_quantizer(name, model) or (list(module.children()) and not _is_checked(module)):
            continue
        try:
            check_module(name, module)
        except ContractError as error:
            violations.append(Violation(module=name or type(model).__name__, rule=error.message, remedy=error.remedy))
    return violations


def check_module(name: str, module: nn.Module) -> None:
    """Check one module.

    Raises:
        ContractError: It breaks a rule, or is of a kind firmware has no node for.

    """
    if isinstance(module, qnn.QuantLinear):
        weight_of(name, module)
        bias_of(name, module)
    elif isinstance(module, qnn.QuantReLU | qnn.QuantIdentity):
        activation_format(name, module)
    elif not isinstance(module, (EdgeGather, EdgeAggregate, nn.Sequential, nn.ModuleList, *PASS_THROUGH)):
        raise ContractError(
            f"module {name} is {type(module).__name__}, which firmware has no node for", remedy=_replacement(module)
        )


def activation_format(name: str, module: qnn.QuantReLU | qnn.QuantIdentity) -> FixedPoint:
    """Format of a QuantReLU or QuantIdentity.

    Raises:
        ContractError: Its quantizer is off, its scale is not a power of two, its zero-point is not 0, a QuantReLU is
            signed, or its rounding is neither floor nor half-even.

    """
    quantizer: Any = module.act_quant
    if not getattr(quantizer, "is_quant_enabled", False):
        raise ContractError(f"module {name} does not quantize", remedy=PRESETS_REMEDY)
    if float(quantizer.zero_point()) != 0:
        raise ContractError(f"module {name} has a zero-point", remedy="use a symmetric or unsigned quantizer")
    signed = bool(quantizer.is_signed)
    if isinstance(module, qnn.QuantReLU) and signed:
        raise ContractError(f"module {name} is a signed QuantReLU", remedy="use an unsigned activation quantizer")
    scales = quantizer.scale()
    if scales.numel() != 1:
        raise ContractError(f"module {name} has one scale per channel", remedy="use a per-tensor activation scale")
    rounding = str(quantizer.rounding_mode).upper()
    if rounding not in ROUNDINGS:
        raise ContractError(f"module {name} rounds by {rounding}", remedy="use FLOOR or ROUND")
    overflow: Overflow = "SAT_SYM" if signed and bool(quantizer.is_narrow_range) else "SAT"
    return _format(
        name, float(quantizer.bit_width()), scales, signed=signed, rounding=ROUNDINGS[rounding], overflow=overflow
    )


def weight_of(name: str, module: qnn.QuantLinear) -> QuantizedArray:
    """Integer weights [out, in] of a QuantLinear, on the finest grid of its channels.

    Raises:
        ContractError: The weights are not quantized, not on a power-of-two grid, or have a zero-point.

    """
    quantizer: Any = module.weight_quant
    if not getattr(quantizer, "is_quant_enabled", False):
        raise ContractError(f"module {name} has float weights", remedy=PRESETS_REMEDY)
    apply_pruning_masks(module)
    with torch.no_grad():
        quantized: Any = module.quant_weight()
    if float(quantized.zero_point.abs().max()) != 0:
        raise ContractError(f"module {name} has weights with a zero-point", remedy="use a symmetric weight quantizer")
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
    scaled = np.asarray(values.detach().cpu(), dtype=np.float64) * 2.0**fraction
    integers = np.rint(scaled)
    if not np.isfinite(scaled).all() or not np.array_equal(integers, scaled):
        raise ContractError(f"module {name}: {what} is not on the grid of its scale", remedy="train it again")
    whole = integers.astype(np.int64)
    low, high = min(int(whole.min()), -1), max(int(whole.max()), 0)
    return QuantizedArray(integers=whole, format=FixedPoint.covering(low, high, fraction=fraction))


def _format(
    name: str, bits: float, scales: torch.Tensor, *, signed: bool, rounding: Rounding, overflow: Overflow
) -> FixedPoint:
    if not bits.is_integer():
        raise ContractError(f"module {name} has {bits} bits", remedy="round the learned bit width")
    width, fraction = int(bits), _fraction(name, scales)
    return FixedPoint(signed=signed, width=width, integer=width - fraction, rounding=rounding, overflow=overflow)


def _fraction(name: str, scales: torch.Tensor) -> int:
    mantissas, exponents = np.frexp(np.asarray(scales.detach().cpu(), dtype=np.float64))
    if not np.all(mantissas == 0.5):
        raise ContractError(f"module {name} has a scale that is not a power of two", remedy=PRESETS_REMEDY)
    return int(1 - exponents.min())


def _is_checked(module: nn.Module) -> bool:
    return isinstance(module, qnn.QuantLinear | qnn.QuantReLU | qnn.QuantIdentity)


def _is_inside_quantizer(name: str, model: nn.Module) -> bool:
    parts = name.split(".")
    return any(_is_checked(model.get_submodule(".".join(parts[:depth]))) for depth in range(1, len(parts)))


def _replacement(module: nn.Module) -> str:
    replacements: dict[type[nn.Module], str] = {
        nn.Linear: "use brevitas.nn.QuantLinear with the presets in hitfabric.quantization.presets",
        nn.ReLU: "use brevitas.nn.QuantReLU with an unsigned preset",
        nn.Sigmoid: "return logits and put the threshold in logit space",
        nn.Tanh: "use QuantReLU",
        nn.LayerNorm: "remove it, or fold a BatchNorm before quantization-aware training",
        nn.BatchNorm1d: "fold it into the linear layer before quantization-aware training",
    }
    for kind, remedy in replacements.items():
        if isinstance(module, kind):
            return remedy
    return "use QuantLinear, QuantReLU, QuantIdentity, EdgeGather, EdgeAggregate, concat and add"
