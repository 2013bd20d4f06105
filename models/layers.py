"""Layers that the networks are made of, quantized or as float twins with the same parameter names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from brevitas.nn import QuantReLU
from torch import Tensor, nn

from ..quantization.presets import activation_quantizer, quantized_identity, quantized_mlp
from .config import PrecisionConfig


def requantization(bits: int, *, quantized: bool, signed: bool = True) -> nn.Module:
    """A QuantIdentity of `bits`; the float twin does nothing."""
    return quantized_identity(bits, signed=signed) if quantized else nn.Identity()


def activation(bits: int, *, quantized: bool) -> nn.Module:
    """A ReLU with `bits` of output."""
    return QuantReLU(act_quant=activation_quantizer(bits, signed=False)) if quantized else nn.ReLU()


def mlp(
    widths: Sequence[int], config: PrecisionConfig, *, quantized: bool, last_activation: bool = False
) -> nn.Sequential:
    """Multilayer perceptron `dense0, relu0, dense1, ...`; see `quantized_mlp`."""
    if quantized:
        return quantized_mlp(
            widths,
            weight_bits=config.weight_bits,
            activation_bits=config.activation_bits,
            bias_bits=config.bias_bits,
            per_channel=config.per_channel,
            last_activation=last_activation,
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(len(widths) - 1):
        layers[f"dense{index}"] = nn.Linear(widths[index], widths[index + 1])
        if index < len(widths) - 2 or last_activation:
            layers[f"relu{index}"] = nn.ReLU()
    return nn.Sequential(layers)


class InputScaling(nn.Module):
    """Brings inputs of very different spread to one scale, which a tensor's one power-of-two scale cannot.

    A square affine map between two quantizations; it starts as what standardises the training data and is learned.

    Args:
        width: Number of features.
        config: Bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, width: int, config: PrecisionConfig, quantized: bool) -> None:
        super().__init__()
        self.input_quant = requantization(config.input_bits, quantized=quantized)
        self.affine = mlp((width, width), config, quantized=quantized)
        self.output_quant = requantization(config.input_bits, quantized=quantized)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scale inputs [..., width]."""
        return self.output_quant(self.affine(self.input_quant(inputs)))

    def standardise(self, inputs: Tensor) -> None:
        """Set the map so that each feature of `inputs` [rows, width] gets mean 0 and spread 1."""
        spread, mean = torch.std_mean(inputs, dim=0, correction=0)
        factor = 1 / spread.clamp(min=1e-6)
        state = {"dense0.weight": torch.diag(factor), "dense0.bias": -mean * factor}
        self.affine.load_state_dict(state, strict=False)
