"""Graph convolutions in forms that firmware takes: EdgeConv, GCN, GraphSAGE and GIN, quantized or as float twins.

No form divides by a number of neighbours: a division for each node would cost more logic than the rest of the layer.
Where a paper takes a mean or a symmetric normalisation, sum and requantize: the learned power-of-two scale of the
requantization takes the place of the common factor, and the layer after it of the rest.
"""

from __future__ import annotations

import torch
from brevitas.inject.enum import ScalingImplType
from brevitas.nn import QuantLinear
from torch import Tensor, nn

from ..quantization.modules import EdgeAggregate, EdgeGather
from ..quantization.presets import weight_quantizer
from .config import ConvolutionConfig
from .layers import mlp, requantization


class ConvolutionNetwork(nn.Module):
    """Rounds of graph convolution and a score of each edge or node.

    Args:
        config: Form, widths and bits.
        quantized: Brevitas layers; False gives the float twin, whose state is a warm start.
    """

    def __init__(self, *, config: ConvolutionConfig | None = None, quantized: bool = True) -> None:
        super().__init__()
        self.config = config or ConvolutionConfig()
        width = self.config.width
        self.input_quant = requantization(self.config.input_bits, quantized=quantized)
        make = CONVOLUTIONS[self.config.kind]
        self.convolutions = nn.ModuleList(
            make(
                inputs=width if number else self.config.node_inputs,
                signed_inputs=not number,
                config=self.config,
                quantized=quantized,
            )
            for number in range(self.config.rounds)
        )
        self.gather = EdgeGather()
        ends = 2 * width if self.config.scores == "edges" else width
        self.score = mlp((ends, width, self.config.outputs), self.config, quantized=quantized)
        self.input_shapes = {"nodes": ("N", self.config.node_inputs), "edge_index": ("E", 2)}
        self.output_names = ("logits",)

    def forward(self, nodes: Tensor, edge_index: Tensor) -> Tensor:
        """Score edges or nodes.

        Args:
            nodes: [N, node_inputs] node features.
            edge_index: [E, 2] (sender, receiver); an index of N or more is padding.

        Returns:
            Logits [E, outputs] or [N, outputs].
        """
        x = self.input_quant(nodes)
        for convolution in self.convolutions:
            x = convolution(x, edge_index)
        return self.score(self.gather(x, edge_index) if self.config.scores == "edges" else x)


class Convolution(nn.Module):
    """One convolution from x [N, inputs] to [N, width], never negative.

    Args:
        inputs: Width of the node features coming in.
        signed_inputs: Whether they may be negative.
        config: Width of what goes out, aggregation and bits.
        quantized: Brevitas layers; False gives the float twin.
    """

    layers: nn.Sequential

    def __init__(self, *, inputs: int, signed_inputs: bool, config: ConvolutionConfig, quantized: bool) -> None:
        super().__init__()
        self.gather = EdgeGather()
        self.aggregate = EdgeAggregate(column=1, mode=config.aggregation)


class EdgeConvolution(Convolution):
    """EdgeConv (Wang et al., arXiv:1801.07829): aggregate of ReLU(MLP([x_i, x_j - x_i])) over the edges j -> i.

    The first layer works on [x_j, x_i] as they are: W [x_i, x_j - x_i] is `fold_difference(W)` [x_j, x_i].
    """

    def __init__(self, *, inputs: int, signed_inputs: bool, config: ConvolutionConfig, quantized: bool) -> None:
        super().__init__(inputs=inputs, signed_inputs=signed_inputs, config=config, quantized=quantized)
        widths = (2 * inputs, config.width, config.width)
        self.layers = mlp(widths, config, quantized=quantized, last_activation=True)
        self.aggregate_quant = requantization(config.activation_bits, quantized=quantized, signed=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Convolve."""
        messages = self.layers(self.gather(x, edge_index))
        return self.aggregate_quant(self.aggregate(messages, edge_index, x))


class NeighbourConvolution(Convolution):
    """Convolutions of the neighbours' sum, which is taken of the features themselves."""

    depth = 1

    def __init__(self, *, inputs: int, signed_inputs: bool, config: ConvolutionConfig, quantized: bool) -> None:
        super().__init__(inputs=inputs, signed_inputs=signed_inputs, config=config, quantized=quantized)
        self.sender = SenderFeatures(inputs=inputs, quantized=quantized)
        self.aggregate_quant = requantization(config.activation_bits, quantized=quantized, signed=signed_inputs)
        widths = (self.joined * inputs, *(config.width for _ in range(self.depth)))
        self.layers = mlp(widths, config, quantized=quantized, last_activation=True)

    joined = 2
    """Tensors side by side before the layers: the neighbours' sum and the node."""

    def total(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Sum or maximum of the senders' features at each receiver, exact."""
        return self.aggregate(self.sender(self.gather(x, edge_index)), edge_index, x)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Convolve."""
        return self.layers(torch.cat([self.aggregate_quant(self.total(x, edge_index)), x], dim=-1))


class SageConvolution(NeighbourConvolution):
    """GraphSAGE with a sum (Hamilton et al., arXiv:1706.02216): ReLU(W_l sum_j x_j + W_r x_i + b)."""


class GinConvolution(NeighbourConvolution):
    """GIN (Xu et al., arXiv:1810.00826): ReLU(MLP((1 + eps) x_i + sum_j x_j)), eps within the first layer's weights."""

    depth = 2


class GcnConvolution(NeighbourConvolution):
    """GCN (Kipf and Welling, arXiv:1609.02907) without the normalisation: ReLU(W (sum_j x_j + x_i) + b)."""

    joined = 1

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Convolve."""
        return self.layers(self.aggregate_quant(self.total(x, edge_index) + x))


class SenderFeatures(nn.Module):
    """The sender's half of [x_sender, x_receiver]: a layer with the fixed weights [1, 0], which is wires in firmware.

    Args:
        inputs: Width of one half.
        quantized: Brevitas layer; False gives the float twin.
    """

    def __init__(self, *, inputs: int, quantized: bool) -> None:
        super().__init__()
        self.select = (
            QuantLinear(2 * inputs, inputs, bias=False, weight_quant=SelectionQuantizer)
            if quantized
            else nn.Linear(2 * inputs, inputs, bias=False)
        )
        weight = torch.cat([torch.eye(inputs), torch.zeros(inputs, inputs)], dim=1)
        self.select.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, ends: Tensor) -> Tensor:
        """Map [E, 2 inputs] to [E, inputs]."""
        return self.select(ends)


class SelectionQuantizer(weight_quantizer(2)):
    """Weights -1, 0 and 1 with a scale of 1."""

    scaling_impl_type = ScalingImplType.CONST
    scaling_init = 2.0  # the range of two bits with a step of 1


def fold_difference(weight: Tensor) -> Tensor:
    """Weights on [x_j, x_i] from weights on [x_i, x_j - x_i].

    Args:
        weight: [out, 2F] = [W_i, W_d].

    Returns:
        [out, 2F] = [W_d, W_i - W_d]: the order that EdgeGather gives for edges j -> i.
    """
    own, difference = weight.chunk(2, dim=1)
    return torch.cat([difference, own - difference], dim=1)


CONVOLUTIONS: dict[str, type[Convolution]] = {
    "edge_conv": EdgeConvolution,
    "gcn": GcnConvolution,
    "sage": SageConvolution,
    "gin": GinConvolution,
}
