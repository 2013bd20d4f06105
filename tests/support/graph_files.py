"""Folders of small random graphs whose labels a network can learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hitfabric.detector import GraphSample, write_graph


def write_random_graphs(folder: Path, count: int) -> None:
    """Write graphs of 15 nodes and 30 edges; the sign of an edge's first feature is its label."""
    random = np.random.default_rng(0)
    for number in range(count):
        edges = random.normal(size=(30, 4)).astype(np.float32)
        sample = GraphSample(
            name=f"event{number:09d}",
            nodes=random.normal(size=(15, 3)).astype(np.float32),
            edges=edges,
            edge_index=random.integers(0, 15, size=(30, 2)),
            labels=edges[:, 0] > 0,
            particle_id=np.arange(15),
        )
        write_graph(sample, folder)
