"""GraphSAGE with a sum: a layer of the neighbours' sum plus a layer of the node itself.

Both layers become one: W_l sum_j x_j + W_r x_i + b = [W_l, W_r] [sum_j x_j, x_i] + b. The paper's mean is a division
for each node; the learned scale of the QuantIdentity after the sum takes its place.

    python examples/graph_sage.py [--steps 60] [--csim]
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
    config = ConvolutionConfig(kind="sage", width=8, rounds=2, aggregation="sum", scores="edges")
    model = ConvolutionNetwork(config=config)
    train(model, edge_loss(model, inputs), steps=options.steps)
    print(f"area under the ROC curve on new graphs: {edge_auc(model, inputs):.3f}")
    prove(model, [inputs(toy_graph(10_000 + seed)) for seed in range(2)], name="graph_sage", csim=options.csim)


if __name__ == "__main__":
    main()
