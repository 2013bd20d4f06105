"""Layers that look like a fixed-point layer and compute something else are refused, never traced."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import brevitas.nn as qnn
import pytest
import torch
from brevitas.quant.binary import SignedBinaryActPerTensorConst
from brevitas.quant.fixed_point import Int8ActPerTensorFixedPoint, Uint8ActPerTensorFixedPoint
from brevitas.quant.float import Fp8e4m3Act, Fp8e4m3Weight
from brevitas.quant.scaled_int import Int8AccumulatorAwareWeightQuant
from torch import Tensor, nn

from hitfabric.quantization.presets import preset, quantized_identity
from hitfabric.quantization.tracer import trace
from support.refused_models import refusal

torch.set_num_threads(1)
PASSES = 25


class HalfUpRounding(nn.Module):
    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5)


class HalfUp(Int8ActPerTensorFixedPoint):
    """Its attributes still say ROUND."""

    float_to_int_impl = HalfUpRounding  # pyright: ignore[reportAssignmentType] - injectors take any value
    collect_stats_steps = 5


class Delayed(Uint8ActPerTensorFixedPoint):
    """Lets floats through for more steps than it was trained."""

    quant_delay_steps = 1000
    collect_stats_steps = 5


class Binary(SignedBinaryActPerTensorConst):
    """-1 and 1, where a format of one signed bit has -1 and 0."""

    narrow_range = False
    scaling_init = 0.5  # pyright: ignore[reportAssignmentType] - injectors take any value


class Doubled(qnn.QuantLinear):
    def inner_forward_impl(self, x: Tensor, quant_weight: Tensor, quant_bias: Tensor | None) -> Tensor:
        return 2 * super().inner_forward_impl(x, quant_weight, quant_bias)


def network(**parts: nn.Module) -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "quantize": quantized_identity(8),
        "first": linear(),
        "relu": qnn.QuantReLU(act_quant=preset("A5"), return_quant_tensor=True),
        "last": linear(inputs=4),
    }
    return nn.Sequential(OrderedDict({**layers, **parts}))


def linear(*, inputs: int = 3, kind: type[qnn.QuantLinear] = qnn.QuantLinear, weight: Any = None) -> qnn.QuantLinear:
    return kind(inputs, 4, bias=True, weight_quant=preset("W4") if weight is None else weight, bias_quant=preset("B6"))


def settled(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(PASSES):
            model(torch.randn(40, 3))
    return model.eval()


@pytest.mark.parametrize(
    ("quantizer", "rule"),
    [
        (HalfUp, "module relu does not quantize as"),
        (Delayed, "module relu does not quantize as"),
        (Binary, "module relu does not quantize as"),
        (SignedBinaryActPerTensorConst, "module relu is binary"),
        (Fp8e4m3Act, "module relu quantizes to floating point"),
    ],
)
def test_activations(quantizer: Any, rule: str) -> None:
    error = refusal(settled(network(relu=qnn.QuantIdentity(act_quant=quantizer))))
    assert error.message.startswith(rule)


def test_weights_in_floating_point() -> None:
    error = refusal(settled(network(last=linear(inputs=4, weight=Fp8e4m3Weight))))
    assert error.message.startswith("module last quantizes its weights to floating point")


def test_weights_that_depend_on_the_input() -> None:
    error = refusal(settled(network(last=linear(inputs=4, weight=Int8AccumulatorAwareWeightQuant))))
    assert error.message.startswith("module last has weights quantized by its input")


def test_an_inner_method_overridden() -> None:
    error = refusal(settled(network(first=linear(kind=Doubled))))
    assert error.message.startswith("module first overrides the inner_forward_impl of QuantLinear")


def test_forward_replaced_on_the_object() -> None:
    model: Any = settled(network())
    kept = model.relu.forward
    model.relu.forward = lambda x: kept(x) + 1
    assert refusal(model).message.startswith("module relu overrides the forward of QuantReLU")


@pytest.mark.parametrize("place", ["first", "relu", ""])
def test_forward_hooks(place: str) -> None:
    """torch.fx sees neither those of a leaf nor those of the whole model."""

    def doubled(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
        return 2 * output

    model = settled(network())
    handle = model.get_submodule(place).register_forward_hook(doubled)
    assert "has the forward hook doubled" in refusal(model).message
    handle.remove()
    trace(model, name="network")


def test_weight_normalisation_of_the_old_kind() -> None:
    """Its weight is computed by a hook, and is stale after a step of the optimizer."""
    model = settled(network())
    nn.utils.weight_norm(model.get_submodule("first"))
    assert "has the forward hook WeightNorm" in refusal(model).message
    nn.utils.remove_weight_norm(model.get_submodule("first"))
    trace(model, name="network")
