"""What the examples share: toy graphs with truth, a short training, and the proof that firmware equals the model."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hitfabric.core import ContractError
from hitfabric.emulation import compare_executors, extreme_vectors, make_executor
from hitfabric.models.metrics import roc_auc
from hitfabric.quantization import Maxima
from hitfabric.quantization.linter import lint
from hitfabric.quantization.presets import CALIBRATION_STEPS
from hitfabric.quantization.reference import BrevitasReference
from hitfabric.quantization.tracer import trace

LAYERS = 6


@dataclass(frozen=True, kw_only=True)
class ToyGraph:
    """Straight tracks through flat layers.

    Attributes:
        nodes: [N, 3]: layer, x, slope measured in the layer with errors.
        edges: [E, 4]: differences of the ends, and the mismatch of the slope with that of the line through them.
        edge_index: [E, 2] (sender, receiver), from each layer to the next.
        labels: [E] 1 where both hits are of one particle.
    """

    nodes: Tensor
    edges: Tensor
    edge_index: Tensor
    labels: Tensor


def toy_graph(seed: int, *, particles: int = 6) -> ToyGraph:
    """Draw a graph: hits of `particles` on every layer, edges between hits of neighbouring layers."""
    generator = torch.Generator().manual_seed(seed)
    start, slope = (torch.randn(particles, generator=generator) for _ in range(2))
    layer = torch.arange(LAYERS).repeat_interleave(particles)
    particle = torch.arange(particles).repeat(LAYERS)
    error = torch.randn(2, len(layer), generator=generator)
    x = start[particle] + 0.3 * slope[particle] * layer + 0.01 * error[0]
    nodes = torch.stack([layer / LAYERS, x, slope[particle] + 0.3 * error[1]], dim=1)
    sender, receiver = torch.nonzero(layer[:, None] + 1 == layer, as_tuple=True)
    keep = (x[receiver] - x[sender]).abs() < 1.0
    sender, receiver = sender[keep], receiver[keep]
    difference = nodes[receiver] - nodes[sender]
    edges = torch.cat([difference, (difference[:, 1] / 0.3 - nodes[sender, 2]).unsqueeze(1)], dim=1)
    labels = (particle[sender] == particle[receiver]).float()
    return ToyGraph(nodes=nodes, edges=edges, edge_index=torch.stack([sender, receiver], dim=1), labels=labels)


def arguments(description: str | None, **extra: Callable[[argparse.ArgumentParser], object]) -> argparse.Namespace:
    """Parse the options of an example: `--steps`, `--csim` and what `extra` adds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60, help="training steps (default: 60)")
    parser.add_argument("--csim", action="store_true", help="compare hls4ml's C simulation too: half a minute or more")
    for add in extra.values():
        add(parser)
    torch.manual_seed(1)
    torch.set_num_threads(1)  # networks this small lose more to threads than they gain
    return parser.parse_args()


def train(model: nn.Module, loss: Callable[[int], Tensor], *, steps: int) -> nn.Module:
    """Calibrate, then train quantization-aware; `loss` takes the number of the step."""
    model.train()
    with torch.no_grad():
        for step in range(CALIBRATION_STEPS + 1):
            loss(step)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2)
    for step in range(steps):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
    return model.eval()


def edge_loss(model: nn.Module, inputs: Callable[[ToyGraph], tuple[Tensor, ...]]) -> Callable[[int], Tensor]:
    """Cross entropy of the edge logits of toy graphs."""

    def loss(step: int) -> Tensor:
        graph = toy_graph(step)
        logits = model(*inputs(graph)).squeeze(-1)
        return nn.functional.binary_cross_entropy_with_logits(logits, graph.labels)

    return loss


def edge_auc(model: nn.Module, inputs: Callable[[ToyGraph], tuple[Tensor, ...]]) -> float:
    """Area under the ROC curve on toy graphs that were not trained on."""
    graphs = [toy_graph(10_000 + seed) for seed in range(5)]
    with torch.no_grad():
        scores = torch.cat([model(*inputs(graph)).squeeze(-1) for graph in graphs])
    return roc_auc(scores.numpy(), torch.cat([graph.labels for graph in graphs]).numpy() > 0)


def prove(
    model: nn.Module, batches: Sequence[tuple[Tensor, ...]], *, name: str, csim: bool, maxima: Maxima | None = None
) -> None:
    """Lint, trace and compare, and print one line for each executor.

    Args:
        model: The trained model.
        batches: Arguments of `forward`, compared beside the extremes of every format.
        name: Name of the network.
        csim: Compare the C simulation too.
        maxima: Static maxima of a graph network; by default twice the largest batch.

    Raises:
        ContractError: The model breaks the contract.
    """
    report = lint(model)
    for violation in report.violations:
        raise ContractError(violation.rule, remedy=violation.remedy)
    sizes = Maxima(
        nodes=2 * max(len(batch[0]) for batch in batches), edges=2 * max(len(batch[-1]) for batch in batches)
    )
    graph = trace(model, name=name, maxima=maxima or sizes)
    names = [node.name for node in graph.inputs]
    vectors = [dict(zip(names, (tensor.numpy() for tensor in batch), strict=True)) for batch in batches]
    others = [BrevitasReference(model, graph)]
    others += [make_executor(kind, graph) for kind in ("native", *(("csim",) if csim else ()))]
    start = time.monotonic()
    ladder = compare_executors(make_executor("golden", graph), others, [*vectors, *extreme_vectors(graph)])
    counts = {other.name: sum(r.compared for r in ladder.rungs if r.executor == other.name) for other in others}
    weights = sum(int(np.count_nonzero(node.weight)) for node in graph.nodes if hasattr(node, "weight"))
    print(f"{name}: {len(graph.nodes)} nodes, {weights} weights that are not zero, {len(report.warnings)} warnings")
    print(f"{'executor':10s} {'mismatches':>10s} of {'values':>9s}")
    for executor, mismatches in ladder.mismatches[name].items():
        print(f"{executor:10s} {mismatches:10d} of {counts[executor]:9d}")
    total = sum(ladder.mismatches[name].values())
    print(f"{total} mismatches with golden at every visible node, in {time.monotonic() - start:.1f} s")
    assert total == 0 and ladder.compared > 0
