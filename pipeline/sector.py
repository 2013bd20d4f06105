"""The sector workload: the interaction network alone, on phi sectors of graphs with a pT cut."""

from __future__ import annotations

from pathlib import Path

from ..core import progress
from ..detector import phi_sectors, read_graphs
from ..emulation import make_executor
from ..quantization import TypedGraph
from ..reports.evaluation_record import NetworkScores
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
