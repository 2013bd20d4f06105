"""EdgeConv: messages from [x_i, x_j - x_i], their maximum at the receiver.

Firmware has no subtraction of tensors and needs none: EdgeGather gives [x_j, x_i], and a first layer W [x_i, x_j - x_i]
with W = [W_i, W_d] is [W_d, W_i - W_d] [x_j, x_i]. A network trained from the start learns the latter as it is; weights
that exist are rearranged by `hitfabric.models.message_passing.fold_difference` (see pyg_weights.py).

    python examples/edge_conv.py [--steps 60] [--csim]
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
    config = ConvolutionConfig(kind="edge_conv", width=16, rounds=1, aggregation="max", scores="edges")
    model = ConvolutionNetwork(config=config)
    train(model, edge_loss(model, inputs), steps=options.steps)
    print(f"area under the ROC curve on new graphs: {edge_auc(model, inputs):.3f}")
    prove(model, [inputs(toy_graph(10_000 + seed)) for seed in range(2)], name="edge_conv", csim=options.csim)


if __name__ == "__main__":
    main()
