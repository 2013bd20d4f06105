"""Accumulators of bounded width: an l1 bound on integer weights, as in A2Q.

A sum of products w x, in any order, fits into a signed accumulator of P bits if the l1 norm of the integer weights
times the largest magnitude of the integer inputs, plus that of the bias, is at most 2**(P - 1) - 1 (Colbert et al.,
arXiv:2308.13504, equation 12). Brevitas' own quantizer for this learns a scale per channel that is no power of two and
so breaks our contract; here the weights are projected instead, after every epoch, and the bound is checked on the
integers of the typed graph.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..core import ContractError
from ..quantization import TypedGraph
from ..quantization.nodes import Dense
from .training_cost import traced

ATTEMPTS = 12
"""Projections before giving up: one may let a scale shrink, which doubles the integers."""


def accumulator_widths(graph: TypedGraph) -> dict[str, int]:
    """Bits of a signed accumulator that no partial sum of a layer can leave, by name of the Dense node."""
    widths = {}
    for node in graph.nodes:
        if isinstance(node, Dense):
            worst = int(max(np.abs(node.weight).sum(axis=1) * _reach(graph, node) + _bias(node)))
            widths[node.name] = worst.bit_length() + 1
    return widths


def bound_accumulators(network: nn.Module, bits: int) -> None:
    """Project the weights so that every accumulator of the network has at most `bits` bits.

    Args:
        network: Calibrated quantized network; its weights are changed in place.
        bits: Width of the accumulators, sign included.

    Raises:
        ContractError: The scales leave no weights that fit: the accumulator is too narrow for the operands.
    """
    limit = 2 ** (bits - 1) - 1
    wide: list[str] = []
    for _ in range(ATTEMPTS):
        graph, paths = traced(network)
        wide = [name for name, width in accumulator_widths(graph).items() if width > bits]
        if not wide:
            return
        for name in wide:
            node = graph[name]
            assert isinstance(node, Dense)
            budget = (limit - _bias(node)) / max(_reach(graph, node), 1)
            layer = network.get_submodule(paths[name])
            scale = 2.0**-node.weight_format.fraction
            integers = np.stack([_project(row, cap) for row, cap in zip(node.weight, budget, strict=True)])
            with torch.no_grad():
                weight = layer.weight
                assert isinstance(weight, torch.Tensor)
                weight.copy_(torch.from_numpy(integers * scale).to(weight))
    raise ContractError(
        f"{wide[0]} does not fit into accumulators of {bits} bits",
        remedy="raise accumulator_bits, or lower the bits of weights or activations",
    )


def _reach(graph: TypedGraph, node: Dense) -> int:
    """Largest magnitude of an integer input, on the grid of the sum: a bias may have a finer one than the products."""
    (source,) = (graph[name].tensor for name in node.inputs)
    shift = node.tensor.format.fraction - node.weight_format.fraction - source.format.fraction
    return max(abs(source.low), abs(source.high)) << shift


def _bias(node: Dense) -> NDArray[np.int64]:
    """Magnitude of each bias on the grid of the sum."""
    if node.bias is None or node.bias_format is None:
        return np.zeros(len(node.weight), dtype=np.int64)
    return np.abs(node.bias) << (node.tensor.format.fraction - node.bias_format.fraction)


def _project(row: NDArray[np.int64], budget: float) -> NDArray[np.int64]:
    """Nearest vector of l1 norm at most `budget` (Duchi et al., ICML 2008), rounded towards zero; zeros stay zeros."""
    magnitude = np.abs(row).astype(np.float64)
    if magnitude.sum() <= budget:
        return row
    if budget <= 0:
        return np.zeros_like(row)
    ordered = np.sort(magnitude)[::-1]
    excess = (np.cumsum(ordered) - budget) / np.arange(1, len(row) + 1)
    threshold = excess[np.flatnonzero(ordered > excess)[-1]]
    return (np.sign(row) * np.floor(np.maximum(magnitude - threshold, 0))).astype(np.int64)
