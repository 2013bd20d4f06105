"""Trainings of tiny interaction networks on tiny random graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from hitfabric.models.config import InteractionConfig
from hitfabric.models.networks import InteractionNetwork
from hitfabric.models.training_config import InteractionTraining, ScheduleConfig
from hitfabric.models.training_interaction import LabelledGraph, train_interaction
from hitfabric.models.training_loop import History, TrainedPair

Trained: TypeAlias = TrainedPair[InteractionNetwork]
TINY = InteractionConfig(width=4, input_bits=8, weight_bits=4, activation_bits=4)


def make_graphs(count: int = 6, seed: int = 0) -> list[LabelledGraph]:
    """Graphs of 20 nodes and 40 edges; the sum of an edge's first two features decides its label."""
    random = np.random.default_rng(seed)
    graphs = []
    for _ in range(count):
        edges = random.normal(size=(40, 4)).astype(np.float32)
        graphs.append(
            LabelledGraph(
                nodes=random.normal(size=(20, 3)).astype(np.float32),
                edges=edges,
                edge_index=random.integers(0, 20, size=(40, 2)),
                labels=edges[:, 0] + edges[:, 1] > 0,
                used=np.ones(40, dtype=bool),
            )
        )
    return graphs


def train_tiny(
    schedule: ScheduleConfig, history: History | None = None, resume: Path | None = None, **options: Any
) -> Trained:
    """Train `TINY`, with `options` of the network changed."""
    network = InteractionConfig.model_validate({**TINY.model_dump(), **options})
    config = InteractionTraining(schedule=schedule, network=network, pruned_from=6)
    graphs = make_graphs()
    return train_interaction(graphs[:4], graphs[4:], config, seed=1, history=history or History(), resume=resume)
