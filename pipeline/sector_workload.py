"""Graphs of the sector workload for counting cycles: real sectors, or drawn ones of their sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..detector import phi_sectors, read_graphs
from ..quantization import TypedGraph
from .bench import Arrays
from .evaluate_all_data import GRAPH_FOLDER, find_data
from .vectors import graph_inputs

SECTORS = 8  # of pi/4 each

EDGES = (18, 96, 122, 137, 151, 164, 179, 191, 203, 220, 230, 244, 257, 274, 290, 310, 331, 357, 392, 468, 1080)
NODES = (56, 79, 91, 98, 107, 109, 113, 123, 126, 131, 136, 135, 142, 146, 158, 158, 163, 172, 181, 196, 218)
"""Sizes of the 640 pi/4 sectors of `plus_2GeV` (TrackML, pT > 2 GeV) by 5 % of them: edges, and nodes beside them."""


def sector_workload(graph: TypedGraph, graphs: Path | None, *, drawn: int, seed: int) -> tuple[str, Iterator[Arrays]]:
    """What the workload is, in words, and its graphs.

    Args:
        graph: The sector network, for the maxima to be met.
        graphs: Folder of graphs; None takes those of the data folder beside the checkout, and draws without one.
        drawn: Graphs to draw.
        seed: Seed of drawn graphs.

    Raises:
        DataError: A graph is malformed.
    """
    if graphs is None and (data := find_data(None)) is not None and (data / GRAPH_FOLDER).is_dir():
        graphs = data / GRAPH_FOLDER
    if graphs is not None:
        return f"phi sectors of pi/4 of {graphs.name}", _sectors(graphs)
    return "drawn graphs of the sizes of pi/4 sectors of plus_2GeV", draw_sectors(graph, count=drawn, seed=seed)


def draw_sectors(graph: TypedGraph, *, count: int, seed: int) -> Iterator[Arrays]:
    """Graphs of the sizes of pi/4 sectors, in an order and with features and edges at random.

    Args:
        graph: The network whose inputs they are.
        count: How many.
        seed: Seed of everything drawn.
    """
    generator = np.random.default_rng(seed)
    shares = np.linspace(0, 1, len(EDGES))
    for share in generator.permutation((np.arange(count) + 0.5) / max(count, 1)):
        sizes = {"E": int(np.interp(share, shares, EDGES)), "N": int(np.interp(share, shares, NODES))}
        inputs: Arrays = {}
        for node in graph.inputs:
            domain, *_ = node.tensor.shape
            if node.tensor.is_index:
                inputs[node.name] = generator.integers(0, sizes["N"], (sizes["E"], 2))
            else:
                shape = (sizes[str(domain)], node.tensor.width)
                inputs[node.name] = generator.uniform(-1, 1, shape).astype(np.float32)
        yield inputs


def _sectors(graphs: Path) -> Iterator[Arrays]:
    for sample in read_graphs(graphs):
        for part in phi_sectors(sample, SECTORS).parts:
            if len(part.sample.edges):
                yield graph_inputs(part.sample)
