"""Interaction networks in every form: rounds, shared weights, skip connections, edge features, directions.

python examples/interaction_network.py [--rounds 2] [--shared] [--skip residual|concat] [--no-edge-features]
                                       [--both-ends] [--max] [--steps 60] [--csim]
"""

from __future__ import annotations

import argparse

import torch
from common import ToyGraph, arguments, edge_auc, edge_loss, prove, toy_graph, train
from torch import Tensor

from hitfabric.models import InteractionConfig, InteractionNetwork
from hitfabric.models.networks import NodeInteractionNetwork


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the form."""
    parser.add_argument("--rounds", type=int, default=2, help="message-passing rounds, 1 to 8 (default: 2)")
    parser.add_argument("--shared", action="store_true", help="all rounds use the same weights")
    parser.add_argument("--skip", choices=("none", "residual", "concat"), default="none")
    parser.add_argument("--no-edge-features", action="store_true", help="edges are encoded from their ends")
    parser.add_argument("--both-ends", action="store_true", help="sums over in-edges and out-edges, separately")
    parser.add_argument("--max", action="store_true", help="maximum over the edges instead of the sum")


def main() -> None:
    """Learn which edges join hits of one particle."""
    options = arguments(__doc__, form=add_options)
    config = InteractionConfig(
        width=6,
        rounds=options.rounds,
        shared=options.shared,
        skip=options.skip,
        aggregate_senders=options.both_ends,
        aggregation="max" if options.max else "sum",
    )
    model = NodeInteractionNetwork(config=config) if options.no_edge_features else InteractionNetwork(config=config)

    def inputs(graph: ToyGraph) -> tuple[Tensor, ...]:
        if options.no_edge_features:
            return graph.nodes, graph.edge_index
        return graph.nodes, graph.edges, graph.edge_index

    graphs = [toy_graph(seed) for seed in range(8)]
    model.node_scaling.standardise(torch.cat([graph.nodes for graph in graphs]))
    if not options.no_edge_features:
        model.edge_scaling.standardise(torch.cat([graph.edges for graph in graphs]))
    train(model, edge_loss(model, inputs), steps=options.steps)
    print(f"area under the ROC curve on new graphs: {edge_auc(model, inputs):.3f}")
    prove(model, [inputs(toy_graph(10_000 + seed)) for seed in range(2)], name="interaction", csim=options.csim)


if __name__ == "__main__":
    main()
