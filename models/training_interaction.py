"""The interaction network: which edges of a graph belong to tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ..core import DataError
from ..detector import GraphSample
from .inference import as_tensor, forward_graph
from .metrics import roc_auc
from .narrowing import check_narrowable, narrow
from .networks import InteractionNetwork
from .training_config import InteractionTraining
from .training_loop import History, Task, TrainedPair, train
from .training_state import fingerprint


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
    resume: Path | None = None,
) -> TrainedPair[InteractionNetwork]:
    """Train the interaction network with binary cross-entropy over the edges of whole graphs.

    Args:
        training: Graphs to learn from.
        validation: Graphs on which epochs are compared (by AUC).
        config: Network and schedule.
        seed: Seed of weights and of the order of the graphs.
        history: Takes one row per epoch: `auc`.
        resume: File of the training's state (see `training_loop.train`).

    Returns:
        The quantized network and its float twin, in evaluation mode.

    Raises:
        DataError: There are no graphs with edges.
    """
    torch.manual_seed(seed)
    task = interaction_task(training, validation, config, seed=seed)
    return train(task, config.schedule, history, resume=resume)


def interaction_task(
    training: Sequence[LabelledGraph], validation: Sequence[LabelledGraph], config: InteractionTraining, *, seed: int
) -> Task[InteractionNetwork]:
    """What `train_interaction` learns.

    Raises:
        DataError: There are no graphs with edges.
        ConfigError: The network cannot be narrowed as `config` asks for.
    """
    usable = [graph for graph in training if graph.used.any()]
    if not usable:
        raise DataError("there are no graphs with edges to learn from", remedy="give more graphs, or a looser filter")
    batches = GraphBatches(usable, seed=seed, signal_weight=config.signal_weight)
    width, wide = config.network.width, config.network
    if config.pruned_from is not None:
        check_narrowable(config.network)
        wide = config.network.model_copy(update={"width": config.pruned_from})

    def make(quantized: bool) -> InteractionNetwork:
        network = InteractionNetwork(config=config.network if quantized else wide, quantized=quantized)
        network.node_scaling.standardise(torch.from_numpy(np.concatenate([graph.nodes for graph in usable])))
        network.edge_scaling.standardise(torch.from_numpy(np.concatenate([graph.edges for graph in usable])))
        return network

    return Task(
        name="interaction network",
        make=make,
        loss=batches.loss,
        begin=batches.begin,
        narrow=None if config.pruned_from is None else lambda network: narrow(network, width),
        key=f"{seed} {config.model_dump_json()} {len(training)} {len(validation)}",
        data=lambda: fingerprint(
            array
            for graph in (*training, *validation)
            for array in (graph.nodes, graph.edges, graph.edge_index, graph.labels, graph.used)
        ),
        evaluate=lambda network: {"auc": edge_auc(network, validation)},
        score="auc",
    )


class GraphBatches:
    """Draws one graph per step and computes the binary cross-entropy of its edges.

    Args:
        graphs: Graphs with edges.
        seed: Seed of the order.
        signal_weight: Weight of a signal edge, relative to a background edge.
    """

    def __init__(self, graphs: Sequence[LabelledGraph], *, seed: int, signal_weight: float) -> None:
        self.graphs = graphs
        self.seed = seed
        self.weight = np.array(signal_weight, dtype=np.float32)
        self.begin(0, 0)

    def begin(self, phase: int, epoch: int) -> None:
        """Start the samples of an epoch."""
        self.random = np.random.default_rng([abs(self.seed), phase, epoch])

    def loss(self, network: InteractionNetwork) -> Tensor:
        """Mean binary cross-entropy over the edges of the next graph."""
        graph = self.graphs[int(self.random.integers(len(self.graphs)))]
        logits = network(*(as_tensor(array, network) for array in (graph.nodes, graph.edges, graph.edge_index)))
        used = as_tensor(graph.used, network)
        labels = as_tensor(graph.labels[graph.used], network).float()
        weight = as_tensor(self.weight, network)
        return binary_cross_entropy_with_logits(logits.squeeze(-1)[used], labels, pos_weight=weight)


def edge_auc(network: InteractionNetwork, graphs: Sequence[LabelledGraph]) -> float:
    """Area under the ROC curve over the edges of all graphs, float32 forward pass."""
    scores = [forward_graph(network, graph.nodes, graph.edges, graph.edge_index)[graph.used] for graph in graphs]
    labels = [graph.labels[graph.used] for graph in graphs]
    return roc_auc(np.concatenate(scores), np.concatenate(labels))
