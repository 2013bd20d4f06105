"""What the network of an epoch costs: the figures of `quantization.cost`, for float networks too."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ..quantization import Maxima, TypedGraph
from ..quantization.cost import graph_cost
from ..quantization.tracer import trace_model

FLOAT_BITS = 32


def network_cost(network: nn.Module) -> dict[str, float]:
    """MACs, BOPs, EBOPs and weights of one inference: one row, or a graph of the default maxima.

    Args:
        network: A network with `input_shapes`, quantized or float.

    Returns:
        `macs`, `bops`, `nonzero_weights`, and for quantized networks `ebops`, exactly those of the typed graph. A
        float network counts as operands of 32 bits; nothing is known about its effective bits. Empty for other modules.
    """
    from .checkpoints import is_quantized

    if not hasattr(network, "input_shapes"):
        return {}
    if not is_quantized(network):
        return float_cost(network)
    cost = graph_cost(traced(network)[0])
    figures = {"macs": cost.macs, "bops": cost.bops, "ebops": cost.ebops, "nonzero_weights": cost.nonzero_weights}
    return {name: float(value) for name, value in figures.items()}


def traced(network: nn.Module) -> tuple[TypedGraph, dict[str, str]]:
    """Typed graph of a network at the default maxima, and the module path of each of its nodes.

    The network keeps its mode; random numbers are not touched.
    """
    shapes: Any = network.input_shapes
    training = network.training
    with torch.random.fork_rng(devices=[]):
        found = trace_model(network, name="network", maxima=Maxima() if "edge_index" in shapes else None)
    network.train(training)
    return found.graph, dict(found.paths)


def float_cost(network: nn.Module) -> dict[str, float]:
    """MACs, BOPs (32-bit operands; pruned weights as in `quantization.cost`) and nonzero weights of a float network."""
    figures = {"macs": 0.0, "bops": 0.0, "nonzero_weights": 0.0}
    seen: set[nn.Module] = set()

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Linear)
        rows, weights = output.numel() // layer.out_features, layer.weight.numel()
        nonzero = int(torch.count_nonzero(layer.weight))
        figures["macs"] += rows * weights
        bits = nonzero * FLOAT_BITS**2 + weights * (2 * FLOAT_BITS + math.log2(layer.in_features))
        figures["bops"] += rows * bits
        if layer not in seen:
            figures["nonzero_weights"] += nonzero
        seen.add(layer)

    hooks = [layer.register_forward_hook(count) for layer in network.modules() if isinstance(layer, nn.Linear)]
    try:
        with torch.no_grad():
            network(*_zeros(network))
    finally:
        for hook in hooks:
            hook.remove()
    return figures


def _zeros(network: nn.Module) -> list[torch.Tensor]:
    """Inputs of the default maxima (one row), all zero."""
    shapes: Any = network.input_shapes
    maxima = Maxima()
    sizes = {"R": 1, "N": maxima.nodes, "E": maxima.edges}
    device = next(network.parameters()).device
    return [
        torch.zeros(
            [size if isinstance(size, int) else sizes[size] for size in shape],
            dtype=torch.int64 if name == "edge_index" else torch.float32,
            device=device,
        )
        for name, shape in shapes.items()
    ]
