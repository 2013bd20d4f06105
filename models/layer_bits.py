"""Bit widths of single layers: what the configuration names is quantized anew."""

from __future__ import annotations

from collections.abc import Mapping

from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from torch import nn

from ..core import ConfigError
from ..quantization.presets import activation_quantizer, bias_quantizer, quantized_identity, weight_quantizer
from .config import PrecisionConfig


def apply_layer_bits(network: nn.Module, config: PrecisionConfig, *, quantized: bool) -> None:
    """Give the layers that `config` names their own bit widths.

    Args:
        network: A network just made; changed in place.
        config: `layer_weight_bits` and `layer_activation_bits` by module path.
        quantized: False only checks the names.

    Raises:
        ConfigError: A path names no such layer; those there are are named.
    """
    for path, bits in _checked(network, config.layer_weight_bits, "layer_weight_bits", (nn.Linear,)):
        old = network.get_submodule(path)
        if quantized:
            assert isinstance(old, QuantLinear)
            new = QuantLinear(
                old.in_features,
                old.out_features,
                bias=True,
                weight_quant=weight_quantizer(bits, config.per_channel),
                bias_quant=bias_quantizer(config.bias_bits),
            )
            new.load_state_dict(old.state_dict())
            network.set_submodule(path, new)
    activations = (nn.ReLU, nn.Identity, QuantReLU, QuantIdentity)
    for path, bits in _checked(network, config.layer_activation_bits, "layer_activation_bits", activations):
        old = network.get_submodule(path)
        if isinstance(old, QuantReLU):
            network.set_submodule(path, QuantReLU(act_quant=activation_quantizer(bits, signed=False)))
        elif isinstance(old, QuantIdentity):
            network.set_submodule(path, quantized_identity(bits, signed=bool(old.act_quant.is_signed)))


def weight_layers(network: nn.Module) -> tuple[str, ...]:
    """Paths of the layers with weights, in order."""
    return _paths(network, (nn.Linear,))


def activation_layers(network: nn.Module) -> tuple[str, ...]:
    """Paths of the requantizations and ReLUs of a quantized network, in order."""
    return _paths(network, (QuantReLU, QuantIdentity))


def _paths(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> tuple[str, ...]:
    """Modules of these kinds that are not inside another layer."""
    return tuple(
        path for path, module in network.named_modules() if isinstance(module, kinds) and "_quant." not in path
    )


def _checked(
    network: nn.Module, bits: Mapping[str, int], setting: str, kinds: tuple[type[nn.Module], ...]
) -> list[tuple[str, int]]:
    known = _paths(network, kinds)
    for path in bits:
        if path not in known:
            raise ConfigError(
                f"{setting} names {path}, which is no such layer", remedy=f"use one of {', '.join(known)}"
            )
    return list(bits.items())
