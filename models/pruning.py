"""Magnitude pruning: which weights stay, and how they are held at exactly zero."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .training_config import PruningConfig

Masks = Mapping[str, Tensor]
"""bool mask by name of a weight parameter: False is pruned."""


def choose_masks(network: nn.Module, config: PruningConfig, sparsity: float) -> dict[str, Tensor]:
    """Keep the weights of largest magnitude.

    Args:
        network: A trained network, float or quantized. What is pruned in it already has magnitude 0, and stays pruned
            when `sparsity` grows.
        config: Scope, and the layers left alone.
        sparsity: Share of the weights of the pruned layers to remove, in [0, 1).

    Returns:
        Masks of the layers that are pruned; exactly `round(sparsity * weights)` entries are False (within each layer
        where `scope` is "layer").
    """
    weights = {
        f"{path}.weight": layer.weight.detach().abs()
        for path, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and not any(path.startswith(prefix) for prefix in config.exclude)
    }
    if config.scope == "layer":
        return {name: _largest(magnitude.flatten(), sparsity).view_as(magnitude) for name, magnitude in weights.items()}
    flat = torch.cat([magnitude.flatten() for magnitude in weights.values()])
    kept = _largest(flat, sparsity).split([magnitude.numel() for magnitude in weights.values()])
    return {name: part.view_as(weights[name]) for (name, part) in zip(weights, kept, strict=True)}


def apply_masks(network: nn.Module, masks: Masks) -> None:
    """Set pruned weights to exactly 0, whatever the last step of the optimiser made of them."""
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask)


def sparsity_of_round(config: PruningConfig, number: int) -> float:
    """Sparsity after round `number` (from 1): each removes the same share of what is left (Frankle and Carbin)."""
    return 1 - (1 - config.sparsity) ** (number / config.rounds)


def _largest(magnitude: Tensor, sparsity: float) -> Tensor:
    removed = round(sparsity * len(magnitude))
    mask = torch.ones_like(magnitude, dtype=torch.bool)
    # A stable order: which of equal weights goes must not depend on the machine.
    mask[torch.argsort(magnitude, stable=True)[:removed]] = False
    return mask
