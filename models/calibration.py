"""Calibration of power-of-two activation scales on training data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..quantization.presets import CALIBRATION_STEPS
from .layer_bits import activation_layers
from .training_task import Network

BATCHES = 8
"""Training batches on which scales are compared."""

HALVINGS = 4
"""How far below the observed range a scale may go: four of them saturate all but a sixteenth."""


def calibrate(network: Network, loss: Callable[[Network], Tensor]) -> None:
    """Collect activation statistics, without learning, until every scale is a power of two that covers the range."""
    network.train()
    with torch.no_grad():
        for _ in range(CALIBRATION_STEPS + 1):
            loss(network)


def refine_scales(network: Network, loss: Callable[[Network], Tensor], *, restart: Callable[[], None]) -> None:
    """Halve scales where that lowers the loss on training data, one activation after the other.

    With few bits the range is a bad guide: a scale that covers the rare large values rounds the common ones to 0. The
    optimiser cannot find out, as a scale moves by whole powers of two.

    Args:
        network: Network with calibrated ranges; its scales are changed.
        loss: Loss of one batch.
        restart: Makes `loss` draw the same batches again.
    """
    network.train()

    def judge() -> float:
        restart()
        return sum(float(loss(network)) for _ in range(BATCHES))

    with torch.no_grad():
        best = judge()
        for path in activation_layers(network):
            (scale,) = (
                parameter
                for name, parameter in network.get_submodule(path).named_parameters()
                if name.endswith("scaling_impl.value")
            )
            kept = scale.clone()
            for _ in range(HALVINGS):
                scale -= 1  # the parameter is the logarithm to base 2
                found = judge()
                if found < best:
                    best, kept = found, scale.clone()
            scale.copy_(kept)
