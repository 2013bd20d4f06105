"""GCN: one layer of the sum over the neighbours and the node itself, without the normalisation.

GCN divides by the square roots of the degrees of both ends. Firmware does not divide for each node: the sum is exact,
and the QuantIdentity after it, whose power-of-two scale is learned, brings it to the range of the activations; the
layer after it learns the rest. Where degrees differ widely, give 1/sqrt(degree) as one more node feature.

    python examples/gcn.py [--steps 60] [--csim]
"""

from __future__ import annotations

from common import ToyGraph, arguments, edge_auc, edge_loss, prove, toy_graph, train
from torch import Tensor

from hitfabric.models.config import ConvolutionConfig
from hitfabric.models.message_passing import ConvolutionNetwork


def inputs(graph: ToyGraph) -> tuple[Tensor, ...]:
    """Arguments of `forward`."""
    return graph.nodes, graph.edge_index


def main() -> None:
    """Learn which edges join hits of one particle."""
    options = arguments(__doc__)
    config = ConvolutionConfig(kind="gcn", width=8, rounds=2, aggregation="sum", scores="edges")
    model = ConvolutionNetwork(config=config)
    train(model, edge_loss(model, inputs), steps=options.steps)
    print(f"area under the ROC curve on new graphs: {edge_auc(model, inputs):.3f}")
    prove(model, [inputs(toy_graph(10_000 + seed)) for seed in range(2)], name="gcn", csim=options.csim)


if __name__ == "__main__":
    main()
