"""Weights of a trained torch_geometric network become firmware, without torch_geometric.

    python examples/pyg_weights.py [--kind sage|gin] [--steps 60] [--csim]

`Trained` stands for the network you trained there: it has PyG's parameter names and computes PyG's formulas. The
recipe: its `state_dict()` goes into a float twin (same function), the twin's state into the quantized network, which is
trained for some steps more; then lint, trace, proof as for every other network.
"""

from __future__ import annotations

import argparse

import torch
from common import ToyGraph, arguments, edge_auc, edge_loss, prove, toy_graph, train
from torch import Tensor, nn

from hitfabric.models.config import ConvolutionConfig
from hitfabric.models.message_passing import ConvolutionNetwork
from hitfabric.models.pyg import load_pyg

WIDTH = 8


class Trained(nn.Module):
    """Two SAGEConv(aggr="sum") or GINConv layers with ReLUs and an edge classifier, in PyG's names and formulas."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.convs = kind, nn.ModuleList()
        for inputs in (3, WIDTH):
            if kind == "sage":
                parts = {"lin_l": nn.Linear(inputs, WIDTH), "lin_r": nn.Linear(inputs, WIDTH, bias=False)}
            else:
                parts = {"nn": nn.Sequential(nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))}
            self.convs.append(nn.ModuleDict(parts))
        self.head = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """PyG's convention: edge_index [2, E], (source j, target i)."""
        source, target = edge_index
        for conv in self.convs:
            total = torch.zeros_like(x).index_add(0, target, x[source])
            x = conv["lin_l"](total) + conv["lin_r"](x) if self.kind == "sage" else conv["nn"](x + total)
            x = x.relu()
        return self.head(torch.cat([x[source], x[target]], dim=-1))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The kind of convolution."""
    parser.add_argument("--kind", choices=("sage", "gin"), default="sage")


def inputs(graph: ToyGraph) -> tuple[Tensor, ...]:
    """Arguments of `forward`."""
    return graph.nodes, graph.edge_index


def main() -> None:
    """Train in float, take the weights over, train quantization-aware, prove."""
    options = arguments(__doc__, kind=add_options)
    trained = Trained(options.kind)
    train(trained, edge_loss(trained, lambda graph: (graph.nodes, graph.edge_index.T)), steps=2 * options.steps)

    config = ConvolutionConfig(kind=options.kind, width=WIDTH, rounds=2, scores="edges")
    twin = ConvolutionNetwork(config=config, quantized=False).eval()
    load_pyg(twin, trained.state_dict(), convolutions=("convs.0", "convs.1"), score="head")
    graph = toy_graph(10_000)
    with torch.no_grad():
        expected = trained(graph.nodes, graph.edge_index.T)
        difference = float((twin(*inputs(graph)) - expected).abs().max() / expected.abs().max())
    print(f"float twin against the trained network: largest relative difference {difference:.1e}")
    assert difference < 1e-5

    model = ConvolutionNetwork(config=config)
    model.load_state_dict(twin.state_dict(), strict=False)  # the scales of the activations are calibrated
    train(model, edge_loss(model, inputs), steps=options.steps)
    print(f"area under the ROC curve: float {edge_auc(twin, inputs):.3f}, quantized {edge_auc(model, inputs):.3f}")
    prove(model, [inputs(toy_graph(10_000 + seed)) for seed in range(2)], name="pyg", csim=options.csim)


if __name__ == "__main__":
    main()
