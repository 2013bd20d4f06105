"""A graph network of your own, layer by layer: who sends, who receives, what a node makes of it.

    python examples/own_gnn.py [--steps 60] [--csim]

Two rounds along the edges, one with them and one against them, so that a node hears of both neighbouring layers.
"""

from __future__ import annotations

from common import ToyGraph, arguments, edge_auc, edge_loss, prove, toy_graph, train
from torch import Tensor, cat, nn

from hitfabric.quantization.modules import EdgeAggregate, EdgeGather
from hitfabric.quantization.presets import quantized_identity, quantized_mlp

SENDER, RECEIVER = 0, 1


class BothWays(nn.Module):
    """Messages to the receiver by their sum, back to the sender by their maximum, and a score for each edge."""

    def __init__(self) -> None:
        super().__init__()
        self.input_shapes = {"nodes": ("N", 3), "edges": ("E", 4), "edge_index": ("E", 2)}
        self.output_names = ("logits",)
        self.quantize_nodes, self.quantize_edges = quantized_identity(10), quantized_identity(10)
        self.gather = EdgeGather()
        self.message = quantized_mlp((2 * 3 + 4, 12, 8), weight_bits=6, activation_bits=6, last_activation=True)
        self.sum, self.sum_quantize = EdgeAggregate(RECEIVER, "sum"), quantized_identity(8, signed=False)
        self.largest, self.largest_quantize = EdgeAggregate(SENDER, "max"), quantized_identity(8, signed=False)
        self.score = quantized_mlp((2 * 19 + 8, 12, 1), weight_bits=6, activation_bits=6)

    def forward(self, nodes: Tensor, edges: Tensor, edge_index: Tensor) -> Tensor:
        """Nodes [N, 3], edges [E, 4], edge_index [E, 2] (sender, receiver) -> logits [E, 1]."""
        x = self.quantize_nodes(nodes)
        messages = self.message(cat([self.gather(x, edge_index), self.quantize_edges(edges)], dim=-1))
        inwards = self.sum_quantize(self.sum(messages, edge_index, x))
        outwards = self.largest_quantize(self.largest(messages, edge_index, x))
        x = cat([x, inwards, outwards], dim=-1)
        return self.score(cat([self.gather(x, edge_index), messages], dim=-1))


def inputs(graph: ToyGraph) -> tuple[Tensor, ...]:
    """Arguments of `forward`."""
    return graph.nodes, graph.edges, graph.edge_index


def main() -> None:
    """Learn which edges join hits of one particle."""
    options = arguments(__doc__)
    model = BothWays()
    train(model, edge_loss(model, inputs), steps=options.steps)
    print(f"area under the ROC curve on new graphs: {edge_auc(model, inputs):.3f}")
    prove(model, [inputs(toy_graph(10_000 + seed)) for seed in range(2)], name="own_gnn", csim=options.csim)


if __name__ == "__main__":
    main()
