"""The three networks of the chain, quantized or as float twins; the interaction network in all its forms.

A twin has the same parameters under the same names, so that a float state is a warm start of its quantized network.
The names of the `forward` arguments become the input names of the typed graph.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..quantization.modules import EdgeAggregate, EdgeGather
from .config import EmbeddingConfig, FilterConfig, InteractionConfig
from .layer_bits import apply_layer_bits
from .layers import InputScaling, activation, mlp, requantization

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
        self.input_quant = requantization(self.config.input_bits, quantized=quantized)
        widths = (self.config.inputs, *self.config.hidden, self.config.outputs)
        self.layers = mlp(widths, self.config, quantized=quantized)
        self.input_shapes = {"features": ("R", self.config.inputs)}
        self.output_names = ("embedding",)
        apply_layer_bits(self, self.config, quantized=quantized)

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
        self.input_quant = requantization(self.config.input_bits, quantized=quantized)
        self.layers = mlp((self.config.inputs, *self.config.hidden, 1), self.config, quantized=quantized)
        self.input_shapes = {"pairs": ("R", self.config.inputs)}
        self.output_names = ("logits",)
        apply_layer_bits(self, self.config, quantized=quantized)

    def forward(self, pairs: Tensor) -> Tensor:
        """Map pair features [R, inputs] to logits [R, 1]."""
        return self.layers(self.input_quant(pairs))


class Interaction(nn.Module):
    """Rounds of message passing with a score for each edge: what the two interaction networks share.

    Each round updates the edges from [x_sender, x_receiver, e], aggregates them at the nodes and updates the nodes from
    [x, aggregate] (Battaglia et al., arXiv:1612.00222; DeZoort et al., arXiv:2103.16701). With shared weights or a skip
    connection, encoders first bring nodes and edges to one width; without edge features the edges are encoded from
    their ends.

    Args:
        config: Widths, rounds, form and bits.
        quantized: Brevitas layers; False gives the float twin.
        edge_inputs: Width of the edge features; 0 without.
    """

    def __init__(self, *, config: InteractionConfig, quantized: bool, edge_inputs: int) -> None:
        super().__init__()
        self.config = config
        states, messages = config.states, config.messages
        self.node_scaling = InputScaling(width=config.node_inputs, config=config, quantized=quantized)
        if edge_inputs:
            self.edge_scaling = InputScaling(width=edge_inputs, config=config, quantized=quantized)
        if config.has_encoders:
            ends = edge_inputs or 2 * states
            self.node_encoder = mlp((config.node_inputs, states), config, quantized=quantized, last_activation=True)
            self.edge_encoder = mlp((ends, messages), config, quantized=quantized, last_activation=True)
        inputs = [(config.node_inputs, edge_inputs)] + [(states, messages)] * (config.rounds - 1)
        if config.has_encoders:
            parts = 2 if config.skip == "concat" else 1
            inputs = [(parts * states, parts * messages)] * (1 if config.shared else config.rounds)
        self.rounds = nn.ModuleList(
            MessagePassing(node_width=nodes, edge_width=edges, config=config, quantized=quantized)
            for nodes, edges in inputs
        )
        self.gather = EdgeGather()
        self.output = mlp((2 * states + messages, *config.hidden, 1), config, quantized=quantized)
        self.output_names = ("logits",)
        apply_layer_bits(self, config, quantized=quantized)

    def score(self, x: Tensor, e: Tensor | None, edge_index: Tensor) -> Tensor:
        """Logits [E, 1] from scaled features of nodes [N, node_inputs] and edges [E, edge_inputs] (or None)."""
        if self.config.has_encoders:
            x = self.node_encoder(x)
            e = self.edge_encoder(self.gather(x, edge_index) if e is None else e)
        first_x, first_e = x, e
        for number in range(self.config.rounds):
            step = self.rounds[number % len(self.rounds)]
            if self.config.skip == "concat":
                assert e is not None and first_e is not None  # from the encoder
                x, e = torch.cat([x, first_x], dim=-1), torch.cat([e, first_e], dim=-1)
            x, e = step(x, e, edge_index)
        assert e is not None  # there is at least one round
        return self.output(torch.cat([self.gather(x, edge_index), e], dim=-1))


class InteractionNetwork(Interaction):
    """Interaction network on graphs with edge features.

    Args:
        config: Widths, rounds, form and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, config: InteractionConfig | None = None, quantized: bool = True) -> None:
        config = config or InteractionConfig()
        super().__init__(config=config, quantized=quantized, edge_inputs=config.edge_inputs)
        self.input_shapes = {
            "nodes": ("N", config.node_inputs),
            "edges": ("E", config.edge_inputs),
            "edge_index": ("E", 2),
        }

    def forward(self, nodes: Tensor, edges: Tensor, edge_index: Tensor) -> Tensor:
        """Score edges.

        Args:
            nodes: [N, node_inputs] node features.
            edges: [E, edge_inputs] edge features.
            edge_index: [E, 2] (sender, receiver); an index of N or more is padding.

        Returns:
            Logits [E, 1].
        """
        return self.score(self.node_scaling(nodes), self.edge_scaling(edges), edge_index)


class NodeInteractionNetwork(Interaction):
    """Interaction network on graphs without edge features; `edge_inputs` of its configuration is not read.

    Args:
        config: Widths, rounds, form and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, config: InteractionConfig | None = None, quantized: bool = True) -> None:
        config = config or InteractionConfig()
        super().__init__(config=config, quantized=quantized, edge_inputs=0)
        self.input_shapes = {"nodes": ("N", config.node_inputs), "edge_index": ("E", 2)}

    def forward(self, nodes: Tensor, edge_index: Tensor) -> Tensor:
        """Score edges: nodes [N, node_inputs] and edge_index [E, 2] to logits [E, 1]."""
        return self.score(self.node_scaling(nodes), None, edge_index)


class MessagePassing(nn.Module):
    """One round: edge update, aggregates at the nodes, node update.

    Args:
        node_width: Width of the node features coming in.
        edge_width: Width of the edge features coming in; 0 without.
        config: Width of what goes out, form, and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    def __init__(self, *, node_width: int, edge_width: int, config: InteractionConfig, quantized: bool) -> None:
        super().__init__()
        bits = config.activation_bits
        self.is_residual = config.skip == "residual"
        self.gather = EdgeGather()
        self.edge_update = mlp(
            (2 * node_width + edge_width, *config.hidden, config.messages),
            config,
            quantized=quantized,
            last_activation=not self.is_residual,
        )
        ends = ("receiver", "sender") if config.aggregate_senders else ("receiver",)
        self.aggregates = nn.ModuleDict(
            {end: EdgeAggregate(column=COLUMNS[end], mode=config.aggregation) for end in ends}
        )
        # Sums of ReLU outputs are never negative.
        self.aggregate_quants = nn.ModuleDict(
            {end: requantization(bits, quantized=quantized, signed=False) for end in ends}
        )
        self.node_update = mlp(
            (node_width + len(ends) * config.messages, *config.hidden, config.states),
            config,
            quantized=quantized,
            last_activation=not self.is_residual,
        )
        if self.is_residual:
            self.edge_activation = activation(bits, quantized=quantized)
            self.node_activation = activation(bits, quantized=quantized)

    def forward(self, x: Tensor, e: Tensor | None, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """Update nodes [N, node_width] and edges [E, edge_width] (or None) to [N, states] and [E, messages]."""
        ends = self.gather(x, edge_index)
        messages = self.edge_update(ends if e is None else torch.cat([ends, e], dim=-1))
        if self.is_residual:
            messages = self.edge_activation(messages + e)
        sums = [
            self.aggregate_quants[end](aggregate(messages, edge_index, x)) for end, aggregate in self.aggregates.items()
        ]
        update = self.node_update(torch.cat([x, *sums], dim=-1))
        return self.node_activation(update + x) if self.is_residual else update, messages
