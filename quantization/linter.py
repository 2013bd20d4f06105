"""Every broken rule of a model at once, and what is legal but worth knowing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import brevitas.nn as qnn
import numpy as np
from torch import nn

from ..core import ContractError, GraphError
from .builder import Maxima
from .contract import PROVEN_BITS, QUANTIZED, Violation, module_errors
from .nodes import Dense, Node, TensorType
from .tracer import Shapes, walk_model
from .walk import Walk

FLOAT32_BITS = 24
"""Integers up to 2**24 are exact in float32."""


@dataclass(frozen=True, kw_only=True)
class LintWarning(Violation):
    """Something that is allowed, and equal bit for bit, but not what it may seem."""


@dataclass(frozen=True, kw_only=True)
class LintReport:
    """What the linter found.

    Attributes:
        violations: Broken rules; with none the model can become firmware.
        warnings: What is worth knowing.
    """

    violations: tuple[Violation, ...]
    warnings: tuple[LintWarning, ...]

    @property
    def passed(self) -> bool:
        """Whether the model keeps the contract."""
        return not self.violations


def lint(model: nn.Module, *, maxima: Maxima | None = None, shapes: Shapes | None = None) -> LintReport:
    """Check every module and operation that the outputs depend on.

    Args:
        model: Any torch model; it is put into evaluation mode.
        maxima: Static maxima of a graph network.
        shapes: Shape of each input, as for `tracer.trace`.

    Returns:
        Violations in the order of execution, and warnings.

    """
    try:
        _, walk = walk_model(model, maxima=maxima, shapes=shapes)
    except (ContractError, GraphError) as error:
        whole = Violation(module=type(model).__name__, rule=error.message, remedy=error.remedy)
        parts = _broken_modules(model) if _has_quantized(model) else []
        return LintReport(violations=(whole, *parts), warnings=())
    return LintReport(violations=tuple(walk.violations), warnings=(*_inexact_sums(walk), *_wide_modules(model)))


def _has_quantized(model: nn.Module) -> bool:
    return any(isinstance(module, QUANTIZED) for module in model.modules())


def _broken_modules(model: nn.Module) -> Iterator[Violation]:
    """Violations of single modules, for a model whose forward cannot be traced."""
    inside: tuple[str, ...] = ()  # modules within a layer, such as its quantizers, are the layer's own
    for name, module in model.named_modules():
        if name.startswith(inside) and inside:
            continue
        library = isinstance(module, QUANTIZED) or not list(module.children())
        if not library:
            continue
        inside = (*inside, f"{name}.")
        for error in module_errors(name, module):
            yield Violation(module=name, rule=error.message, remedy=error.remedy)


def _inexact_sums(walk: Walk) -> Iterator[LintWarning]:
    for node in walk.builder.nodes.values():
        if isinstance(node, Dense) and (bits := _float32_bits(node, walk.builder.nodes)) > FLOAT32_BITS:
            yield LintWarning(
                module=walk.paths[node.name],
                rule=f"sums need {bits} bits, and float32 is exact to {FLOAT32_BITS}: the forward pass of Brevitas may"
                " round where firmware does not",
                remedy="compare in float64, as BrevitasReference does, or use fewer bits",
            )


def _float32_bits(node: Dense, nodes: Mapping[str, Node]) -> int:
    """Bits of the largest partial sum of any output, each on the coarsest grid that holds its terms."""
    source: TensorType = nodes[node.inputs[0]].tensor
    largest = max(abs(source.low), abs(source.high))
    return max(_row_bits(row, largest, bias) for row, bias in zip(node.weight, _biases(node, source), strict=True))


def _biases(node: Dense, source: TensorType) -> list[tuple[int, int]]:
    """(integer, fraction relative to the products) of each output's bias."""
    if node.bias is None or node.bias_format is None:
        return [(0, 0)] * len(node.weight)
    products = source.format.fraction + node.weight_format.fraction
    return [(int(value), node.bias_format.fraction - products) for value in node.bias]


def _row_bits(row: np.ndarray, largest: int, bias: tuple[int, int]) -> int:
    total, (constant, finer) = sum(abs(int(weight)) for weight in row) * largest, bias
    step = _trailing_zeros(int(np.bitwise_or.reduce(row)))
    if not constant:
        return (total >> step).bit_length()
    total, constant = (total << finer, abs(constant)) if finer > 0 else (total, abs(constant) << -finer)
    step = min(step + max(0, finer), _trailing_zeros(constant))
    return ((total + constant) >> step).bit_length()


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1 if value else 0


def _wide_modules(model: nn.Module) -> Iterator[LintWarning]:
    for name, module in model.named_modules():
        if isinstance(module, QUANTIZED) and not any(module_errors(name, module)):
            for what, bits in _widths(module):
                if bits > PROVEN_BITS:
                    yield LintWarning(
                        module=name,
                        rule=f"{what} of {bits:g} bits; property tests cover 2 to {PROVEN_BITS}",
                        remedy=f"use at most {PROVEN_BITS} bits, or penalise learned bit widths more",
                    )


def _widths(module: Any) -> Iterator[tuple[str, float]]:  # noqa: ANN401 - Brevitas' layers have no common type
    is_linear = isinstance(module, qnn.QuantLinear)
    quantizer: Any = module.weight_quant if is_linear else module.act_quant
    if quantizer.is_quant_enabled:
        yield ("weights" if is_linear else "activations"), float(quantizer.bit_width().detach())
