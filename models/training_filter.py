"""The edge filter: which pairs of the radius graph could be consecutive hits of one particle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ..core import DataError
from ..detector import embedding_features, pair_features, radius_graph
from .inference import as_tensor, forward_rows
from .metrics import roc_auc
from .networks import EmbeddingNetwork, FilterNetwork
from .training_config import FilterTraining
from .training_data import TrainingEvent
from .training_loop import History, Task, TrainedPair, train
from .training_state import fingerprint


@dataclass(frozen=True, kw_only=True, eq=False)
class PairTable:
    """Candidate edges of one event.

    Attributes:
        source: The event.
        edge_index: int64 [E, 2] edges of the radius graph.
        inputs: float32 [E, 12] inputs of the filter.
        labels: bool [E], edges to keep.
        used: bool [E], edges that count in losses.
    """

    source: TrainingEvent
    edge_index: NDArray[np.int64]
    inputs: NDArray[np.float32]
    labels: NDArray[np.bool_]
    used: NDArray[np.bool_]


def make_pairs(embedding: EmbeddingNetwork, events: Sequence[TrainingEvent], radius: float) -> list[PairTable]:
    """Build the radius graph of each event, cut it to the window, and label its edges."""
    tables = []
    for event in events:
        points = forward_rows(embedding, embedding_features(event.features))
        edge_index = radius_graph(points, radius, features=event.features)
        edge_index = edge_index[event.inside(edge_index)]
        tables.append(
            PairTable(
                source=event,
                edge_index=edge_index,
                inputs=pair_features(event.features, edge_index, event.data.scales),
                labels=event.targets(edge_index),
                used=event.learned(edge_index),
            )
        )
    return tables


def train_filter(
    training: Sequence[PairTable],
    validation: Sequence[PairTable],
    config: FilterTraining,
    *,
    seed: int,
    history: History,
    resume: Path | None = None,
) -> TrainedPair[FilterNetwork]:
    """Train the filter with binary cross-entropy.

    Args:
        training: Candidate edges to learn from.
        validation: Candidate edges on which epochs are compared (fewest kept at the wanted efficiency).
        config: Network, schedule and batches.
        seed: Seed of weights and batches.
        history: Takes one row per epoch: `auc`, `kept`.
        resume: File of the training's state (see `training_loop.train`).

    Returns:
        The quantized network and its float twin, in evaluation mode.

    Raises:
        DataError: There are no signal or no background edges.
    """
    torch.manual_seed(seed)
    batches = _Batches(training, config, seed=seed)

    def evaluate(network: FilterNetwork) -> Mapping[str, float]:
        logits = [forward_rows(network, table.inputs)[:, 0] for table in validation]
        threshold = choose_filter_threshold(logits, validation, config.efficiency)
        used = np.concatenate([table.used for table in validation])
        labels = np.concatenate([table.labels for table in validation])
        scores = np.concatenate(logits)
        kept = float(np.mean(scores >= threshold))
        return {"auc": roc_auc(scores[used], labels[used]), "kept": kept}

    task = Task(
        name="filter",
        make=lambda quantized: FilterNetwork(config=config.network, quantized=quantized),
        loss=batches.loss,
        begin=batches.begin,
        key=f"{seed} {config.model_dump_json()} {len(training)} {len(validation)}",
        data=lambda: fingerprint(
            array for table in (*training, *validation) for array in (table.inputs, table.labels, table.used)
        ),
        evaluate=evaluate,
        score="kept",
        higher_is_better=False,
    )
    return train(task, config.schedule, history, resume=resume)


def choose_filter_threshold(
    logits: Sequence[NDArray[np.float32]], tables: Sequence[PairTable], efficiency: float
) -> float:
    """Largest logit threshold (edges at or above it are kept) that keeps the given fraction of the signal edges."""
    signal = np.concatenate([score[table.labels] for score, table in zip(logits, tables, strict=True)])
    return float(np.quantile(signal, 1 - efficiency, method="lower"))


class _Batches:
    """Random batches with a fixed fraction of signal."""

    def __init__(self, tables: Sequence[PairTable], config: FilterTraining, *, seed: int) -> None:
        self.signal = np.concatenate([table.inputs[table.labels] for table in tables])
        self.background = np.concatenate([table.inputs[table.used & ~table.labels] for table in tables])
        if len(self.signal) == 0 or len(self.background) == 0:
            raise DataError(
                f"the radius graphs hold {len(self.signal)} signal and {len(self.background)} background edges",
                remedy="train on more or larger events",
            )
        self.counts = [round(config.batch * config.signal_fraction)]
        self.counts.append(config.batch - self.counts[0])
        self.seed = seed
        self.begin(0, 0)

    def begin(self, phase: int, epoch: int) -> None:
        """Start the samples of an epoch."""
        self.random = np.random.default_rng([abs(self.seed), phase, epoch])

    def loss(self, network: FilterNetwork) -> Tensor:
        """Binary cross-entropy of one batch."""
        rows = [
            pool[self.random.integers(len(pool), size=count)]
            for pool, count in zip((self.signal, self.background), self.counts, strict=True)
        ]
        logits = network(as_tensor(np.concatenate(rows), network)).squeeze(-1)
        labels = np.repeat(np.array([1, 0], dtype=np.float32), self.counts)
        return binary_cross_entropy_with_logits(logits, as_tensor(labels, network))
