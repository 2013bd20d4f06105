"""The three networks of the chain, quantized or as float twins.

A twin has the same parameters under the same names, so that a float state is a warm start of its quantized network.
The names of the `forward` arguments become the input names of the typed graph.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..quantization.modules import EdgeAggregate, EdgeGather
from ..quantization.presets import quantized_identity, quantized_mlp
from .config import EmbeddingConfig, FilterConfig, InteractionConfig, PrecisionConfig


class EmbeddingNetwork(nn.Module):
    """Places hits in a space where neighbours on a track are close.

    Args:
        config: Widths and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, config: EmbeddingConfig | None = None, quantized: bool = True) -> None:
        super().__init__()
        self.config = config or EmbeddingConfig()
        self.input_quant = _requantize(self.config.input_bits, quantized=quantized)
        widths = (self.config.inputs, *self.config.hidden, self.config.outputs)
        self.layers = _mlp(widths, self.config, quantized=quantized)
        self.input_shapes = {"features": ("R", self.config.inputs)}
        self.output_names = ("embedding",)

    def forward(self, features: Tensor) -> Tensor:
        """Map hit features [R, inputs] to points [R, outputs]."""
        return self.layers(self.input_quant(features))


class FilterNetwork(nn.Module):
    """Scores pairs of hits.

    Args:
        config: Widths and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, config: FilterConfig | None = None, quantized: bool = True) -> None:
        super().__init__()
        self.config = config or FilterConfig()
        self.input_quant = _requantize(self.config.input_bits, quantized=quantized)
        self.layers = _mlp((self.config.inputs, *self.config.hidden, 1), self.config, quantized=quantized)
        self.input_shapes = {"pairs": ("R", self.config.inputs)}
        self.output_names = ("logits",)

    def forward(self, pairs: Tensor) -> Tensor:
        """Map pair features [R, inputs] to logits [R, 1]."""
        return self.layers(self.input_quant(pairs))


class InteractionNetwork(nn.Module):
    """Scores the edges of a graph after rounds of message passing.

    Each round updates the edges from [x_sender, x_receiver, e], sums them at the receivers and updates the nodes from
    [x, sum] (Battaglia et al., arXiv:1612.00222; DeZoort et al., arXiv:2103.16701).

    Args:
        config: Widths, rounds and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, config: InteractionConfig | None = None, quantized: bool = True) -> None:
        super().__init__()
        self.config = config or InteractionConfig()
        self.node_quant = _requantize(self.config.input_bits, quantized=quantized)
        self.edge_quant = _requantize(self.config.input_bits, quantized=quantized)
        width = self.config.width
        inputs = [(self.config.node_inputs, self.config.edge_inputs)] + [(width, width)] * (self.config.rounds - 1)
        self.rounds = nn.ModuleList(
            MessagePassing(nodes=nodes, edges=edges, config=self.config, quantized=quantized) for nodes, edges in inputs
        )
        self.gather = EdgeGather()
        self.output = _mlp((3 * width, width, 1), self.config, quantized=quantized)
        self.input_shapes = {
            "nodes": ("N", self.config.node_inputs),
            "edges": ("E", self.config.edge_inputs),
            "edge_index": ("E", 2),
        }
        self.output_names = ("logits",)

    def forward(self, nodes: Tensor, edges: Tensor, edge_index: Tensor) -> Tensor:
        """Score edges.

        Args:
            nodes: [N, node_inputs] node features.
            edges: [E, edge_inputs] edge features.
            edge_index: [E, 2] (sender, receiver); an index of N or more is padding.

        Returns:
            Logits [E, 1].
        """
        x, e = self.node_quant(nodes), self.edge_quant(edges)
        for step in self.rounds:
            x, e = step(x, e, edge_index)
        return self.output(torch.cat([self.gather(x, edge_index), e], dim=-1))


class MessagePassing(nn.Module):
    """One round: edge update, sum at the receiver, node update.

    Args:
        nodes: Width of the node features coming in.
        edges: Width of the edge features coming in.
        config: Width of what goes out, and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, nodes: int, edges: int, config: InteractionConfig, quantized: bool) -> None:
        super().__init__()
        width = config.width
        self.gather = EdgeGather()
        self.edge_update = _mlp((2 * nodes + edges, width, width), config, quantized=quantized, last_activation=True)
        self.aggregate = EdgeAggregate(column=1, mode="sum")
        # Sums of ReLU outputs are never negative.
        self.aggregate_quant = _requantize(config.activation_bits, quantized=quantized, signed=False)
        self.node_update = _mlp((nodes + width, width, width), config, quantized=quantized, last_activation=True)

    def forward(self, x: Tensor, e: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """Update nodes [N, nodes] and edges [E, edges] to [N, width] and [E, width]."""
        e = self.edge_update(torch.cat([self.gather(x, edge_index), e], dim=-1))
        received = self.aggregate_quant(self.aggregate(e, edge_index, x))
        return self.node_update(torch.cat([x, received], dim=-1)), e


def _requantize(bits: int, *, quantized: bool, signed: bool = True) -> nn.Module:
    return quantized_identity(bits, signed=signed) if quantized else nn.Identity()


def _mlp(
    widths: Sequence[int], config: PrecisionConfig, *, quantized: bool, last_activation: bool = False
) -> nn.Sequential:
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
