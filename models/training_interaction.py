"""The interaction network: which edges of a graph belong to tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ..core import DataError
from ..detector import GraphSample
from .inference import forward_graph
from .metrics import roc_auc
from .networks import InteractionNetwork
from .training_config import InteractionTraining
from .training_loop import History, Task, TrainedPair, train


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledGraph:
    """Graph with true labels.

    Attributes:
        nodes: float32 [N, 3].
        edges: float32 [E, 4].
        edge_index: int64 [E, 2].
        labels: bool [E], signal edges.
        used: bool [E], edges that count in losses and metrics.
    """

    nodes: NDArray[np.float32]
    edges: NDArray[np.float32]
    edge_index: NDArray[np.int64]
    labels: NDArray[np.bool_]
    used: NDArray[np.bool_]

    @classmethod
    def from_sample(cls, sample: GraphSample) -> LabelledGraph:
        """Take a graph whose every edge counts."""
        return cls(
            nodes=sample.nodes,
            edges=sample.edges,
            edge_index=sample.edge_index,
            labels=sample.labels,
            used=np.ones(len(sample.labels), dtype=bool),
        )


def train_interaction(
    training: Sequence[LabelledGraph],
    validation: Sequence[LabelledGraph],
    config: InteractionTraining,
    *,
    seed: int,
    history: History,
) -> TrainedPair[InteractionNetwork]:
    """Train the interaction network with binary cross-entropy over the edges of whole graphs.

    Args:
        training: Graphs to learn from.
        validation: Graphs on which epochs are compared (by AUC).
        config: Network and schedule.
        seed: Seed of weights and of the order of the graphs.
        history: Takes one row per epoch: `auc`.

    Returns:
        The quantized network and its float twin, in evaluation mode.

    Raises:
        DataError: There are no graphs with edges.
    """
    usable = [graph for graph in training if graph.used.any()]
    if not usable:
        raise DataError("there are no graphs with edges to learn from", remedy="give more graphs, or a looser filter")
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    weight = torch.tensor(config.signal_weight)

    def loss(network: InteractionNetwork) -> Tensor:
        graph = usable[random.integers(len(usable))]
        tensors = (torch.from_numpy(array) for array in (graph.nodes, graph.edges, graph.edge_index))
        logits = network(*tensors).squeeze(-1)
        used = torch.from_numpy(graph.used)
        labels = torch.from_numpy(graph.labels[graph.used]).float()
        return binary_cross_entropy_with_logits(logits[used], labels, pos_weight=weight)

    def make(quantized: bool) -> InteractionNetwork:
        network = InteractionNetwork(config=config.network, quantized=quantized)
        network.node_scaling.standardise(torch.from_numpy(np.concatenate([graph.nodes for graph in usable])))
        network.edge_scaling.standardise(torch.from_numpy(np.concatenate([graph.edges for graph in usable])))
        return network

    task = Task(
        name="interaction network",
        make=make,
        loss=loss,
        evaluate=lambda network: {"auc": edge_auc(network, validation)},
        score="auc",
    )
    return train(task, config.schedule, history)


def edge_auc(network: InteractionNetwork, graphs: Sequence[LabelledGraph]) -> float:
    """Area under the ROC curve over the edges of all graphs, float32 forward pass."""
    scores = [forward_graph(network, graph.nodes, graph.edges, graph.edge_index)[graph.used] for graph in graphs]
    labels = [graph.labels[graph.used] for graph in graphs]
    return roc_auc(np.concatenate(scores), np.concatenate(labels))
