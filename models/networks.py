"""The three networks of the chain, quantized or as float twins.

A twin has the same parameters under the same names, so that a float state is a warm start of its quantized network.
The names of the `forward` arguments become the input names of the typed graph.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..quantization.modules import EdgeAggregate, EdgeGather
from ..quantization.presets import quantized_identity, quantized_mlp
from .config import EmbeddingConfig, FilterConfig, InteractionConfig, PrecisionConfig

COLUMNS: dict[str, Literal[0, 1]] = {"sender": 0, "receiver": 1}


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
        self.node_scaling = InputScaling(width=self.config.node_inputs, config=self.config, quantized=quantized)
        self.edge_scaling = InputScaling(width=self.config.edge_inputs, config=self.config, quantized=quantized)
        width = self.config.width
        inputs = [(self.config.node_inputs, self.config.edge_inputs)] + [(width, width)] * (self.config.rounds - 1)
        self.rounds = nn.ModuleList(
            MessagePassing(node_width=nodes, edge_width=edges, config=self.config, quantized=quantized)
            for nodes, edges in inputs
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
        x, e = self.node_scaling(nodes), self.edge_scaling(edges)
        for step in self.rounds:
            x, e = step(x, e, edge_index)
        return self.output(torch.cat([self.gather(x, edge_index), e], dim=-1))


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
        self.input_quant = _requantize(config.input_bits, quantized=quantized)
        self.affine = _mlp((width, width), config, quantized=quantized)
        self.output_quant = _requantize(config.input_bits, quantized=quantized)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scale inputs [..., width]."""
        return self.output_quant(self.affine(self.input_quant(inputs)))

    def standardise(self, inputs: Tensor) -> None:
        """Set the map so that each feature of `inputs` [rows, width] gets mean 0 and spread 1."""
        spread, mean = torch.std_mean(inputs, dim=0, correction=0)
        factor = 1 / spread.clamp(min=1e-6)
        state = {"dense0.weight": torch.diag(factor), "dense0.bias": -mean * factor}
        self.affine.load_state_dict(state, strict=False)


class MessagePassing(nn.Module):
    """One round: edge update, sum at the nodes, node update.

    Args:
        node_width: Width of the node features coming in.
        edge_width: Width of the edge features coming in.
        config: Width of what goes out, and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, node_width: int, edge_width: int, config: InteractionConfig, quantized: bool) -> None:
        super().__init__()
        width = config.width
        self.gather = EdgeGather()
        self.edge_update = _mlp(
            (2 * node_width + edge_width, width, width), config, quantized=quantized, last_activation=True
        )
        ends = ("receiver", "sender") if config.aggregate_senders else ("receiver",)
        self.aggregates = nn.ModuleDict({end: EdgeAggregate(column=COLUMNS[end], mode="sum") for end in ends})
        # Sums of ReLU outputs are never negative.
        self.aggregate_quants = nn.ModuleDict(
            {end: _requantize(config.activation_bits, quantized=quantized, signed=False) for end in ends}
        )
        inputs = node_width + len(ends) * width
        self.node_update = _mlp((inputs, width, width), config, quantized=quantized, last_activation=True)

    def forward(self, x: Tensor, e: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """Update nodes [N, node_width] and edges [E, edge_width] to [N, width] and [E, width]."""
        e = self.edge_update(torch.cat([self.gather(x, edge_index), e], dim=-1))
        sums = [self.aggregate_quants[end](aggregate(e, edge_index, x)) for end, aggregate in self.aggregates.items()]
        return self.node_update(torch.cat([x, *sums], dim=-1)), e


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
