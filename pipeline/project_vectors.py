"""Vectors of a project's own test bench: the extremes of every format, and what the network sees in real events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..emulation import extreme_vectors, make_executor
from ..fpga_backend import NETWORKS, Chain
from ..hls_projects import HlsProject, write_vectors
from ..quantization import TypedGraph
from .layout import SECTOR_NETWORK, Model
from .samples import read_chain_events
from .vectors import Arrays, Taken, Wanted, event_batches, sector_batches

EXTREME_ROWS = 200
SECTOR_GRAPH_FILES = 40


def write_test_vectors(project: HlsProject, real: list[Arrays]) -> None:
    """Give the project's test bench vectors, with what the golden executor makes of them.

    Args:
        project: The project.
        real: Inputs from events, besides the extremes of every format.
    """
    golden = make_executor("golden", project.graph)
    vectors = [*extreme_vectors(project.graph, random_rows=EXTREME_ROWS), *real]
    write_vectors(project, [(inputs, _exact(project.graph, golden.run_integers(inputs))) for inputs in vectors])


def _exact(graph: TypedGraph, integers: Mapping[str, NDArray[np.int64]]) -> Arrays:
    """Outputs as float64: an executor's `run` gives float32, which rounds outputs of more than 24 bits."""
    return {node.name: node.tensor.format.to_float(integers[node.name]) for node in graph.outputs}


def real_vectors(
    model: Model,
    networks: Mapping[str, TypedGraph],
    wanted: Wanted,
    *,
    events: Path | None,
    graphs: Path | None,
    seed: int,
) -> dict[str, list[Arrays]]:
    """Inputs of each network from real events.

    Args:
        model: Chain that turns hits into the networks' inputs.
        networks: The networks that vectors are for.
        wanted: How much to take.
        events: Folder of events in TrackML CSV layout; None takes none.
        graphs: Folder of graphs of the sector workload; None takes none.
        seed: Seed of the choice of rows.

    Returns:
        Inputs by network; nothing for a network without a source.

    Raises:
        DataError: There are no events or graphs, or too few.
        ToolError: The compiler is missing or fails.
    """
    vectors: dict[str, list[Arrays]] = {}
    taken = Taken()
    if events is not None and any(name in NETWORKS for name in networks):
        chain = Chain.load(model.chain, "native")
        source = read_chain_events(events, chain.config)
        for batch in event_batches(chain, source, wanted, taken, seed=seed, whole_events=False):
            if batch.feed in networks:
                vectors.setdefault(batch.feed, []).append(batch.inputs)
    if graphs is not None and SECTOR_NETWORK in networks:
        maxima = networks[SECTOR_NETWORK].maxima
        for batch in sector_batches(graphs, maxima, wanted, taken, limit=SECTOR_GRAPH_FILES):
            vectors.setdefault(SECTOR_NETWORK, []).append(batch.inputs)
    return vectors
