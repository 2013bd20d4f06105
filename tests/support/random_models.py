"""Random trained Brevitas models: small MLPs and graph networks over everything the tracer takes, drawn by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hitfabric.quantization import Maxima
from hitfabric.quantization.modules import EdgeAggregate, EdgeGather
from hitfabric.quantization.presets import CALIBRATION_STEPS
from support.random_layers import Draw

STEPS = 4
"""Training steps after the calibration: weights, scales and learned bit widths move."""

Kind = Literal["mlp", "interaction", "edge_conv", "gcn", "sage"]
KINDS: tuple[Kind, ...] = ("mlp", "interaction", "edge_conv", "gcn", "sage")


@dataclass(frozen=True, kw_only=True)
class RandomModel:
    """A model ready to be traced.

    Attributes:
        model: In evaluation mode, calibrated and trained for some steps.
        maxima: Static maxima for `trace` (the network of rows ignores them).
        description: What was drawn, in one line.
    """

    model: nn.Module
    maxima: Maxima
    description: str


def random_model(seed: int, *, kind: Kind | None = None) -> RandomModel:
    """Draw, calibrate and train a model; the same seed gives the same model.

    Args:
        seed: Any non-negative integer.
        kind: Family of networks; None draws it.
    """
    torch_state = torch.random.get_rng_state()
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    try:
        draw = Draw(generator)
        chosen = kind or draw.one_of(KINDS)
        maxima = Maxima(nodes=draw.integer(1, 12), edges=draw.integer(1, 24))
        model = _make(draw, chosen)
        _train(model, draw, maxima)
        return RandomModel(
            model=model.eval(),
            maxima=maxima,
            description=f"seed {seed}: {chosen} {maxima.nodes}/{maxima.edges}, {', '.join(draw.notes)}",
        )
    finally:
        torch.random.set_rng_state(torch_state)


class MultilayerPerceptron(nn.Module):
    """Rows: quantized input, 1 to 3 layers, logits, a requantized or a residual end."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        width, self.end = draw.integer(1, 8), draw.one_of(("logits", "requantized", "residual"))
        outputs = width if self.end == "residual" else draw.integer(1, 8)
        self.quantize = draw.identity()
        self.layers = draw.mlp(width, outputs, layers=draw.integer(1, 3), activation=False)
        self.last = draw.identity() if self.end != "logits" else nn.Identity()
        self.input_shapes = {"features": ("R", width)}
        draw.notes.append(f"end: {self.end}")

    def forward(self, features: Tensor) -> Tensor:
        x = self.quantize(features)
        y = self.layers(x)
        return self.last(y + x if self.end == "residual" else y)


class GraphNetwork(nn.Module):
    """Rounds of message passing in the form of `kind`, then a score of each edge or node."""

    def __init__(self, draw: Draw, kind: Kind, *, edge_features: bool = False) -> None:
        super().__init__()
        self.width, self.count = draw.integer(1, 5), draw.one_of((1, 1, 2, 3))
        self.skip = draw.one_of(("none", "residual", "concat"))
        self.scores_edges = draw.chance(0.5)
        inputs, edge_inputs = draw.integer(1, 4), draw.integer(1, 4)
        self.quantize, self.gather = draw.identity(), EdgeGather()
        self.encode = draw.mlp(inputs, self.width, layers=1, activation=True)
        self.input_shapes: dict[str, tuple[int | str, ...]] = {"nodes": ("N", inputs)}
        if edge_features:
            self.input_shapes["edges"] = ("E", edge_inputs)
            self.quantize_edges = draw.identity()
            self.encode_edges = draw.mlp(edge_inputs, self.width, layers=1, activation=True)
        self.input_shapes["edge_index"] = ("E", 2)
        shared = draw.chance(0.5)
        node_width = self.width * (2 if self.skip == "concat" else 1)
        self.steps = nn.ModuleList(
            STEP_KINDS[kind](draw, inputs=node_width, width=self.width, skip=self.skip, edge_features=edge_features)
            for _ in range(1 if shared else self.count)
        )
        ends = 2 * node_width if self.scores_edges else node_width
        self.score = draw.mlp(ends, draw.integer(1, 3), layers=draw.integer(1, 2), activation=False)
        draw.notes.append(f"{self.count} rounds, shared: {shared}, skip: {self.skip}, edge features: {edge_features}")

    def run(self, nodes: Tensor, edges: Tensor | None, edge_index: Tensor) -> Tensor:
        """The network; `edges` is None without edge features."""
        first = x = self.encode(self.quantize(nodes))
        e = None if edges is None else self.encode_edges(self.quantize_edges(edges))
        x = self._joined(x, first)
        for number in range(self.count):
            x, e = self.steps[number % len(self.steps)](x, e, edge_index)
            x = self._joined(x, first)
        return self.score(self.gather(x, edge_index) if self.scores_edges else x)

    def _joined(self, x: Tensor, first: Tensor) -> Tensor:
        return torch.cat([x, first], dim=-1) if self.skip == "concat" else x

    def forward(self, nodes: Tensor, edge_index: Tensor) -> Tensor:
        return self.run(nodes, None, edge_index)


class EdgeFeatureNetwork(GraphNetwork):
    """An interaction network with edge features."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(draw, "interaction", edge_features=True)

    def forward(self, nodes: Tensor, edges: Tensor, edge_index: Tensor) -> Tensor:  # pyright: ignore
        return self.run(nodes, edges, edge_index)


class Step(nn.Module):
    """One round; every kind maps x [N, inputs] to [N, width]."""

    def __init__(self, draw: Draw, *, inputs: int, width: int, skip: str, edge_features: bool) -> None:
        super().__init__()
        self.gather, self.residual = EdgeGather(), skip == "residual"
        self.build(draw, inputs, width, edge_features)
        self.end = draw.relu()

    def build(self, draw: Draw, inputs: int, width: int, edge_features: bool) -> None:
        """Make the layers."""
        raise NotImplementedError

    def finish(self, update: Tensor, x: Tensor) -> Tensor:
        """Activation, with the skip connection before it."""
        return self.end(update + x if self.residual else update)


class InteractionStep(Step):
    """Messages from both ends and the edge, summed or maximised at one end or both, then the node update."""

    def build(self, draw: Draw, inputs: int, width: int, edge_features: bool) -> None:
        self.message = draw.mlp(2 * inputs + width * edge_features, width, layers=draw.integer(1, 2), activation=True)
        ends, mode = draw.one_of(((1,), (0,), (1, 0))), draw.one_of(("sum", "sum", "max"))
        self.aggregates = nn.ModuleList(EdgeAggregate(column=column, mode=mode) for column in ends)
        exact = draw.chance(0.2)  # sums go into the next layer as they are
        self.requantize = nn.ModuleList(nn.Identity() if exact else draw.identity(signed=False) for _ in ends)
        self.update = draw.mlp(inputs + len(ends) * width, width, layers=draw.integer(1, 2), activation=False)
        draw.notes.append(f"ends {ends} {mode}, exact: {exact}")

    def forward(self, x: Tensor, e: Tensor | None, edge_index: Tensor) -> tuple[Tensor, Tensor | None]:
        ends = self.gather(x, edge_index)
        messages = self.message(ends if e is None else torch.cat([ends, e], dim=1))
        pairs = zip(self.aggregates, self.requantize, strict=True)
        sums = [quantize(aggregate(messages, edge_index, x)) for aggregate, quantize in pairs]
        return self.finish(self.update(torch.cat([x, *sums], dim=-1)), x), None if e is None else messages


class EdgeConvStep(Step):
    """Messages from both ends; their maximum or sum is the new node."""

    def build(self, draw: Draw, inputs: int, width: int, edge_features: bool) -> None:
        self.message = draw.mlp(2 * inputs, width, layers=draw.integer(1, 2), activation=draw.chance(0.7))
        self.aggregate = EdgeAggregate(mode=draw.one_of(("max", "sum")))
        draw.notes.append(f"{self.aggregate.mode}")

    def forward(self, x: Tensor, e: Tensor | None, edge_index: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.finish(self.aggregate(self.message(self.gather(x, edge_index)), edge_index, x), x), e


class GcnStep(Step):
    """One layer of the sum over the neighbours and the node itself."""

    def build(self, draw: Draw, inputs: int, width: int, edge_features: bool) -> None:
        self.take = draw.linear(2 * inputs, inputs)
        self.aggregate, self.requantize = EdgeAggregate(column=draw.one_of((0, 1))), draw.identity()
        self.update = draw.linear(inputs, width)

    def forward(self, x: Tensor, e: Tensor | None, edge_index: Tensor) -> tuple[Tensor, Tensor | None]:
        total = self.aggregate(self.take(self.gather(x, edge_index)), edge_index, x)
        return self.finish(self.update(self.requantize(torch.add(total, x))), x), e


class SageStep(Step):
    """A layer of the sum over the neighbours plus a layer of the node itself."""

    def build(self, draw: Draw, inputs: int, width: int, edge_features: bool) -> None:
        self.message = draw.mlp(2 * inputs, width, layers=1, activation=True)
        self.aggregate, self.requantize = EdgeAggregate(), draw.identity(signed=False)
        self.left, self.right = draw.linear(width, width), draw.linear(inputs, width)

    def forward(self, x: Tensor, e: Tensor | None, edge_index: Tensor) -> tuple[Tensor, Tensor | None]:
        total = self.requantize(self.aggregate(self.message(self.gather(x, edge_index)), edge_index, x))
        return self.finish(self.left(total) + self.right(x), x), e


STEP_KINDS: dict[str, type[Step]] = {
    "interaction": InteractionStep,
    "edge_conv": EdgeConvStep,
    "gcn": GcnStep,
    "sage": SageStep,
}


def _make(draw: Draw, kind: Kind) -> MultilayerPerceptron | GraphNetwork:
    if kind == "mlp":
        return MultilayerPerceptron(draw)
    return EdgeFeatureNetwork(draw) if kind == "interaction" and draw.chance(0.6) else GraphNetwork(draw, kind)


def _train(model: MultilayerPerceptron | GraphNetwork, draw: Draw, maxima: Maxima) -> None:
    spread = 10.0 ** draw.integer(-1, 1)
    sizes = {"R": 16, "N": maxima.nodes, "E": maxima.edges}
    batch = [
        torch.randint(0, maxima.nodes + 1, (maxima.edges, 2))
        if name == "edge_index"
        else spread * torch.randn(sizes[str(shape[0])], int(shape[1]))
        for name, shape in model.input_shapes.items()
    ]
    model.train()
    with torch.no_grad():
        for _ in range(CALIBRATION_STEPS + 1):
            model(*batch)
    widths = [value for name, value in model.named_parameters() if name.endswith("bit_width_offset")]
    others = [value for name, value in model.named_parameters() if not name.endswith("bit_width_offset")]
    groups = [{"params": others}, {"params": widths, "lr": 0.3}]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]], 1e-2)
    for _ in range(STEPS):
        loss = (model(*batch) - 1.0).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
