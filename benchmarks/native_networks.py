"""Networks and inputs of the benchmark of the native executor.

Row networks are made as a user makes them: the embedding network of the package, quantized by its presets (12-bit
inputs, 8-bit weights, biases and activations), calibrated on rows and traced. Their weights are seeded and use every
integer that the format has. Interaction networks are the shipped ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitfabric.detector import PairScales, interaction_features, read_graphs
from hitfabric.models.calibration import calibrate
from hitfabric.models.config import EmbeddingConfig
from hitfabric.models.networks import EmbeddingNetwork
from hitfabric.models.pruning import apply_masks, choose_masks
from hitfabric.models.training_config import PruningConfig
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import TypedGraph
from hitfabric.quantization.tracer import trace

Inputs = Mapping[str, NDArray[Any]]
INPUTS, OUTPUTS = 12, 8
LARGEST = 127
"""Largest magnitude of an 8-bit narrow weight."""

LAYERS = 10
RADII_MM = np.linspace(32.0, 1020.0, LAYERS)


@dataclass(frozen=True, kw_only=True)
class RowNetwork:
    """A perceptron 12-...-8.

    Attributes:
        hidden: Widths of the hidden layers.
        sparsity: Share of the weights that are 0.

    """

    hidden: tuple[int, ...]
    sparsity: float = 0.0

    @property
    def name(self) -> str:
        """E.g. `12-64-64-8`, `12-64-64-8 at 80 % sparsity`."""
        widths = "-".join(map(str, (INPUTS, *self.hidden, OUTPUTS)))
        return f"{widths} at {self.sparsity:.0%} sparsity".replace("%", " %") if self.sparsity else widths


@dataclass(frozen=True, kw_only=True, eq=False)
class Workload:
    """What one measurement computes.

    Attributes:
        network: Name of the network.
        items: Rows, or mean number of edges of a graph.
        nodes: Mean number of nodes of a graph; 0 for rows.
        batches: Inputs of each call; a sample of several graphs calls once for each of them.

    """

    network: str
    items: int
    nodes: int = 0
    batches: tuple[Inputs, ...]

    @property
    def is_graph(self) -> bool:
        """Whether the inputs are graphs."""
        return self.nodes > 0


def make_row_network(spec: RowNetwork, *, seed: int = 0) -> TypedGraph:
    """Quantize, calibrate and trace a network of seeded weights that use the whole range of their format."""
    generator = np.random.default_rng(seed)
    config = EmbeddingConfig(inputs=INPUTS, hidden=spec.hidden, outputs=OUTPUTS)
    network = EmbeddingNetwork(config=config)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            _fill(layer, generator)
    if spec.sparsity:
        apply_masks(network, choose_masks(network, PruningConfig(scope="layer"), spec.sparsity))
    rows = torch.from_numpy(row_inputs(4096, seed=seed + 1))
    calibrate(network, lambda model: model(rows).sum())
    return trace(network.eval(), name="embedding")


def row_inputs(rows: int, *, seed: int = 2) -> NDArray[np.float32]:
    """Standard normal features [rows, 12]."""
    return np.random.default_rng(seed).normal(size=(rows, INPUTS)).astype(np.float32)


def _fill(layer: nn.Linear, generator: np.random.Generator) -> None:
    # A spread of about one over the root of the inputs keeps the activations of every layer at the size of the inputs.
    step = 2.0 ** -np.ceil(np.log2(LARGEST * np.sqrt(layer.in_features / 6)))
    with torch.no_grad():
        for parameter in (layer.weight, layer.bias):
            integers = generator.integers(-LARGEST, LARGEST + 1, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy((integers * step).astype(np.float32)))


def load_interaction_network(name: str) -> tuple[TypedGraph, Path]:
    """Typed graph of a shipped interaction network, and the directory of its float twin."""
    folder = zoo_path(name)
    if (folder / "interaction_network").is_dir():
        return TypedGraph.load(folder / "interaction_network"), folder / "float" / "interaction_network"
    return TypedGraph.load(folder), folder / "float"


def graph_inputs(name: str, features: NDArray[np.float32], edge_index: NDArray[np.int64]) -> Inputs:
    """Inputs of a shipped interaction network.

    Args:
        name: The network: that of a chain takes the edge features its chain names, in the chain's scales.
        features: float32 [N, 3] r (mm), phi (rad), z (mm).
        edge_index: int64 [E, 2] (sender, receiver).

    """
    chain = zoo_path(name) / "chain.json"
    kind, scales = "graph", PairScales()
    if chain.is_file():
        settings = json.loads(chain.read_text(encoding="utf-8"))
        kind, scales = settings["edge_inputs"], PairScales(**settings["scales"])
    nodes, edges = interaction_features(features, edge_index, kind=kind, scales=scales)
    return {"nodes": nodes, "edges": edges, "edge_index": edge_index}


def read_inputs(name: str, directory: Path, count: int) -> tuple[Inputs, ...]:
    """The first graphs of a folder as inputs of a shipped network."""
    units = np.array([1000, np.pi, 1000], dtype=np.float32)
    return tuple(
        graph_inputs(name, sample.nodes * units, sample.edge_index) for sample in read_graphs(directory, count)
    )


def simulated_graph(nodes: int, edges: int, *, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Tracks of ten barrel layers, their edges and wrong edges between hits close in phi on neighbouring layers.

    Args:
        nodes: Hits, ten or more.
        edges: Edges.
        seed: Seed of the tracks.

    Returns:
        float32 [nodes, 3] r (mm), phi (rad), z (mm), layer by layer and in order of phi within; int64 [edges, 2].

    """
    generator = np.random.default_rng(seed)
    layer = np.sort(np.arange(nodes) % LAYERS)
    track = np.arange(nodes) - np.searchsorted(layer, layer)
    tracks = int(track.max()) + 1
    phi0, bend = generator.uniform(-np.pi, np.pi, tracks), generator.normal(0, 2e-4, tracks)
    slope, z0 = np.sinh(generator.uniform(-1.5, 1.5, tracks)), generator.normal(0, 50, tracks)
    radius = RADII_MM[layer]
    phi = np.mod(phi0[track] + bend[track] * radius + np.pi, 2 * np.pi) - np.pi
    order = np.lexsort((phi, layer))
    features = np.stack([radius, phi, z0[track] + slope[track] * radius], axis=1)[order].astype(np.float32)
    return features, _edges(layer, features[:, 1], track[order], edges, generator)


def _edges(
    layer: NDArray[np.int64],
    phi: NDArray[np.float32],
    track: NDArray[np.int64],
    edges: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    inside_out = np.lexsort((layer, track))
    same = track[inside_out][1:] == track[inside_out][:-1]
    true = np.stack([inside_out[:-1][same], inside_out[1:][same]], axis=1)[:edges]
    sender = generator.choice(np.flatnonzero(layer < layer[-1]), edges - len(true))
    starts = np.searchsorted(layer, np.arange(LAYERS + 1))
    # Hits are in order of phi within their layer: the place in the next layer follows from one search over both.
    place = np.searchsorted(layer * 10.0 + phi, (layer[sender] + 1) * 10.0 + phi[sender])
    first, last = starts[layer[sender] + 1], starts[layer[sender] + 2]
    reach = max(4, 4 * edges // len(layer))
    receiver = first + (place - first + generator.integers(-reach, reach + 1, len(sender))) % (last - first)
    index = np.concatenate([true, np.stack([sender, receiver], axis=1)]).astype(np.int64)
    return np.ascontiguousarray(index[np.argsort(index[:, 0], kind="stable")])


def mean_sizes(batches: Sequence[Inputs]) -> tuple[int, int]:
    """Mean numbers of nodes and edges of graphs."""
    nodes = sum(len(batch["nodes"]) for batch in batches) / len(batches)
    edges = sum(len(batch["edge_index"]) for batch in batches) / len(batches)
    return round(nodes), round(edges)
