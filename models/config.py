"""Configuration of the three networks: widths and bits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..core import StrictModel

Bits = Annotated[int, Field(ge=2, le=16)]
Aggregation = Literal["sum", "max"]
Width = Annotated[int, Field(ge=1, le=4096)]


class PrecisionConfig(StrictModel):
    """Bit widths of one network.

    Attributes:
        input_bits: Inputs. Coordinates need more bits than activations: 8 bits of z are steps of 12 mm.
        weight_bits: Weights.
        activation_bits: Hidden activations.
        bias_bits: Biases.
        per_channel: Weight scales per output channel.
        layer_weight_bits: Weight bits of single layers by module path (`rounds.0.edge_update.dense1: 4`); they win
            over `weight_bits`.
        layer_activation_bits: The same for requantizations and ReLUs (`node_scaling.output_quant: 8`).
    """

    input_bits: Bits = 12
    weight_bits: Bits = 8
    activation_bits: Bits = 8
    bias_bits: Bits = 8
    per_channel: bool = False
    layer_weight_bits: dict[str, Bits] = {}  # noqa: RUF012 - pydantic copies it
    layer_activation_bits: dict[str, Bits] = {}  # noqa: RUF012


class EmbeddingConfig(PrecisionConfig):
    """Embedding network: hit features [R, inputs] to points [R, outputs] of the metric space."""

    inputs: Width = 6
    hidden: tuple[Width, ...] = (64, 64)
    outputs: Width = 8


class FilterConfig(PrecisionConfig):
    """Edge filter: features of a pair of hits [R, inputs] to one logit [R, 1]."""

    inputs: Width = 12
    hidden: tuple[Width, ...] = (32, 32)


class InteractionConfig(PrecisionConfig):
    """Interaction network: graph to one logit per edge.

    Attributes:
        node_inputs: Node features.
        edge_inputs: Edge features.
        width: Width of every hidden tensor, and of messages and node states unless they have their own.
        message_width: Width of the messages (edge states); None takes `width`.
        state_width: Width of the node states; None takes `width`.
        hidden_layers: Hidden layers of each perceptron.
        rounds: Message-passing rounds.
        aggregate_senders: Nodes also receive the sum of the edges they send, so that a track's information travels
            inwards as well as outwards; otherwise only what comes in.
        aggregation: Sum or maximum of the edges at a node.
        shared: All rounds use the same weights.
        skip: `residual` adds a round's input to its update before the activation; `concat` gives every round the
            encoded inputs beside the current state.
    """

    node_inputs: Width = 3
    edge_inputs: Width = 4
    width: Width = 8
    message_width: Width | None = None
    state_width: Width | None = None
    hidden_layers: Annotated[int, Field(ge=1, le=4)] = 1
    rounds: Annotated[int, Field(ge=1, le=8)] = 1
    aggregate_senders: bool = False
    aggregation: Aggregation = "sum"
    shared: bool = False
    skip: Literal["none", "residual", "concat"] = "none"

    @property
    def has_encoders(self) -> bool:
        """Whether nodes and edges are brought to the widths of their states before the first round."""
        return self.shared or self.skip != "none"

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden tensors of each perceptron."""
        return (self.width,) * self.hidden_layers

    @property
    def messages(self) -> int:
        """Width of the messages."""
        return self.message_width or self.width

    @property
    def states(self) -> int:
        """Width of the node states."""
        return self.state_width or self.width


class ConvolutionConfig(PrecisionConfig):
    """Network of graph convolutions: nodes and edges to scores.

    Attributes:
        kind: Form of each round: `edge_conv` (messages from [x_i, x_j - x_i]), `gcn` (one layer of the sum over the
            neighbours and the node), `sage` (one layer of the neighbours' sum plus one of the node), `gin` (a
            perceptron of the neighbours' sum plus the node).
        node_inputs: Node features.
        width: Width of every hidden tensor.
        rounds: Convolutions.
        aggregation: Sum or maximum over the edges into a node; `gcn`, `sage` and `gin` are sums in their papers.
        scores: What is scored: `edges` or `nodes`.
        outputs: Logits for each of them.
    """

    kind: Literal["edge_conv", "gcn", "sage", "gin"] = "edge_conv"
    node_inputs: Width = 3
    width: Width = 8
    rounds: Annotated[int, Field(ge=1, le=8)] = 2
    aggregation: Aggregation = "sum"
    scores: Literal["edges", "nodes"] = "edges"
    outputs: Width = 1
