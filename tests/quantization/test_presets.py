"""Presets: every quantizer is a fixed-point format, of the width asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hitfabric.core import ContractError
from hitfabric.quantization import FixedPoint
from hitfabric.quantization.contract import activation_format, bias_of, weight_of
from hitfabric.quantization.linter import lint
from hitfabric.quantization.presets import (
    CALIBRATION_STEPS,
    activation_quantizer,
    bias_quantizer,
    preset,
    preset_names,
    quantized_identity,
    quantized_mlp,
    weight_quantizer,
)

BITS = st.integers(2, 16)


def calibrated(module: nn.Module, inputs: torch.Tensor) -> nn.Module:
    """The module in evaluation mode, after the passes that settle its scales."""
    module.train()
    with torch.no_grad():
        for _ in range(CALIBRATION_STEPS + 1):
            module(inputs)
    return module.eval()


@settings(max_examples=25)
@given(bits=BITS, signed=st.booleans(), spread=st.sampled_from([1e-9, 0.03, 1.0, 37.0]), seed=st.integers(0, 99))
def test_activations_equal_the_format_they_claim(bits: int, signed: bool, spread: float, seed: int) -> None:
    torch.manual_seed(seed)
    inputs = spread * torch.randn(200, 3)
    module = calibrated(quantized_identity(bits, signed=signed), inputs)
    form = activation_format("module", module)
    assert (form.signed, form.width, form.rounding, form.overflow) == (signed, bits, "TRN", "SAT")
    wide = torch.cat([inputs, 100 * inputs, torch.tensor([[0.0, -form.scale / 2, form.scale / 2]])])
    with torch.no_grad():
        outputs = module(wide).numpy()
    assert np.array_equal(outputs, form.to_float(form.quantize(wide.numpy())).astype(np.float32))


def test_rounding_to_nearest_is_offered() -> None:
    relu = QuantReLU(act_quant=activation_quantizer(6, signed=False, rounding="ROUND"))
    form = activation_format("relu", calibrated(relu, torch.rand(100, 2)))
    assert form.rounding == "RND_CONV"


@settings(max_examples=25)
@given(bits=BITS, per_channel=st.booleans(), spread=st.sampled_from([1e-8, 0.1, 50.0]), seed=st.integers(0, 99))
def test_weights_are_narrow_and_near_what_they_stand_for(
    bits: int, per_channel: bool, spread: float, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = QuantLinear(5, 4, bias=False, weight_quant=weight_quantizer(bits, per_channel))
    with torch.no_grad():
        layer.weight.copy_(spread * torch.randn(4, 5))
    weight = weight_of("layer", layer)
    scales = layer.quant_weight().scale.detach().reshape(-1).numpy().astype(np.float64)
    assert len(scales) == (4 if per_channel else 1)
    assert np.array_equal(np.exp2(np.rint(np.log2(scales))), scales)
    values = weight.integers * weight.format.scale
    steps = values / scales.reshape(-1, 1)
    limit = 2 ** (bits - 1) - 1
    assert np.array_equal(steps, np.rint(steps)) and np.abs(steps).max() <= limit
    exact = np.clip(layer.weight.detach().numpy() / scales.reshape(-1, 1), -limit, limit)
    assert np.abs(steps - exact).max() <= 0.5


def test_a_zero_bias_does_not_ask_for_endless_fraction_bits() -> None:
    layer = QuantLinear(2, 3, bias=True, weight_quant=weight_quantizer(8), bias_quant=bias_quantizer(8))
    with torch.no_grad():
        layer.bias.zero_()
    bias = bias_of("layer", layer)
    assert bias is not None
    assert bias.integers.tolist() == [0, 0, 0] and bias.format.fraction <= 14


def test_quantized_mlp_keeps_the_contract_and_names_its_layers() -> None:
    mlp = quantized_mlp((4, 6, 2), weight_bits=5, activation_bits=7, bias_bits=9, last_activation=True)
    assert [name for name, _ in mlp.named_children()] == ["dense0", "relu0", "dense1", "relu1"]
    network = nn.Sequential(quantized_identity(8), mlp)
    calibrated(network, torch.rand(64, 4))
    assert lint(network).passed
    assert weight_of("dense0", mlp.dense0).format.width <= 5
    assert activation_format("relu1", mlp.relu1).width == 7
    logits = quantized_mlp((4, 6, 2), weight_bits=5, activation_bits=7)
    assert isinstance(logits[-1], QuantLinear)


def test_presets_by_name() -> None:
    names = preset_names()
    assert len(names) == len(set(names)) == 15 * 2 * 7  # bits, learned or not, kinds
    assert all(preset(name) is preset(name) for name in names)
    assert preset("W4") is not preset("W4C") is not preset("W4CL")
    identity = calibrated(QuantIdentity(act_quant=preset("A6SH")), torch.randn(100, 2))
    form = activation_format("module", identity)  # pyright: ignore[reportArgumentType] - a QuantIdentity
    assert (form.signed, form.width, form.rounding) == (True, 6, "RND_CONV")
    relu = activation_format("module", calibrated(QuantReLU(act_quant=preset("A9")), torch.rand(100, 2)))  # pyright: ignore
    assert (relu.signed, relu.width, relu.rounding) == (False, 9, "TRN")
    layer = QuantLinear(3, 4, bias=True, weight_quant=preset("W5C"), bias_quant=preset("B7"))
    assert layer.quant_weight().scale.numel() == 4  # pyright: ignore[reportAttributeAccessIssue] - a QuantTensor
    assert float(layer.quant_bias().bit_width) == 7  # pyright: ignore[reportAttributeAccessIssue] - same


@pytest.mark.parametrize("name", ["", "W", "w4", "W04", "A6HS", "A6C", "B8S", "X3", "W4LC", "W4 "])
def test_names_that_are_no_presets(name: str) -> None:
    with pytest.raises(ContractError, match="no preset is named"):
        preset(name)


@pytest.mark.parametrize("name", ["W1", "A17S", "B99L"])
def test_presets_out_of_range(name: str) -> None:
    with pytest.raises(ContractError, match="choose 2 to 16 bits"):
        preset(name)


@pytest.mark.parametrize("bits", [1, 17, -3])
def test_widths_out_of_range_are_refused(bits: int) -> None:
    for make in (weight_quantizer, bias_quantizer, lambda b: activation_quantizer(b, signed=True)):
        with pytest.raises(ContractError, match="choose 2 to 16 bits"):
            make(bits)


@pytest.mark.parametrize("widths", [(), (3,), (3, 0, 1)])
def test_impossible_layer_widths_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ContractError, match="make no network"):
        quantized_mlp(widths, weight_bits=8, activation_bits=8)


def test_formats_of_a_preset_are_fixed_points() -> None:
    module = calibrated(quantized_identity(8), torch.linspace(-1, 1, 101).reshape(-1, 1))
    assert activation_format("module", module) == FixedPoint(signed=True, width=8, integer=1)
