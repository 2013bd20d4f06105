"""The sector workload: the interaction network alone, on phi sectors of graphs with a pT cut."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ..core import progress
from ..detector import phi_sectors, read_graphs
from ..emulation import make_executor
from ..quantization import Maxima, TypedGraph
from ..reports.evaluation_record import NetworkScores
from ..reports.size_record import GraphSizes
from .graph_sizes import network_limit
from .layout import Device
from .scores import ScoreSample, network_scores
from .vectors import graph_inputs

SECTORS = 16


def sector_scores(network: Path, graphs: Path, *, limit: int, device: Device) -> NetworkScores:
    """Score the edges of every phi sector of the last graphs of a folder (training takes the first).

    Args:
        network: Typed graph directory.
        graphs: Folder of graphs with labels.
        limit: At most this many graphs.
        device: Executor.

    Returns:
        The scores; edges between sectors are not in it.

    Raises:
        GraphError: The network is malformed.
        DataError: The graphs are.
    """
    graph = TypedGraph.load(network)
    executor = make_executor(device, graph)
    samples = list(read_graphs(graphs))[-limit:]
    found = []
    for sample in progress(samples, description="sector graphs"):
        for part in phi_sectors(sample, SECTORS).parts:
            if len(part.sample.edges):
                logits = executor.run(graph_inputs(part.sample))["logits"][:, 0]
                found.append(ScoreSample(scores=logits, labels=part.sample.labels))
    name = f"{len(found)} sectors of {len(samples)} graphs of {graphs.name}"
    return network_scores(found, threshold=0.0, sample=name)


def sector_sizes(graphs: Path, *, limit: int, maxima: Maxima, network: str) -> GraphSizes:
    """Sizes of the phi sectors with edges that `sector_scores` scores.

    Args:
        graphs: Folder of graphs.
        limit: At most this many graphs, from the last of the folder on.
        maxima: Maxima of the sector network.
        network: Its name.

    Raises:
        DataError: The graphs are malformed.
    """
    samples = list(read_graphs(graphs))[-limit:]
    parts = [part.sample for sample in samples for part in phi_sectors(sample, SECTORS).parts]
    counts = Counter((len(part.nodes), len(part.edges)) for part in parts if len(part.edges))
    name = f"{len(samples)} graphs of {graphs.name}"
    return GraphSizes.of(counts, kind=f"phi sector, 1 of {SECTORS}", sample=name, limit=network_limit(maxima, network))
