"""The sector workload: the interaction network alone, on phi sectors of graphs with a pT cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core import progress
from ..detector import phi_sectors, read_graphs
from ..emulation import make_executor
from ..quantization import TypedGraph
from ..reports.evaluation_record import NetworkScores
from ..reports.size_record import GraphSizes
from .graph_sizes import SizeCounts, network_limit
from .layout import SECTOR_NETWORK, Device
from .scores import ScoreSample, network_scores
from .vectors import graph_inputs

SECTORS = 16


@dataclass(frozen=True, kw_only=True)
class SectorFigures:
    """What the sectors of some graphs show of a network.

    Attributes:
        scores: Of the edges; those between sectors are not in it.
        sizes: Of the sectors with edges, against the network's maxima.
    """

    scores: NetworkScores
    sizes: GraphSizes


def sector_figures(network: Path, graphs: Path, *, limit: int, device: Device) -> SectorFigures:
    """Score the edges of every phi sector of the last graphs of a folder (training takes the first).

    Args:
        network: Typed graph directory.
        graphs: Folder of graphs with labels.
        limit: At most this many graphs.
        device: Executor.

    Returns:
        The figures.

    Raises:
        GraphError: The network is malformed.
        DataError: The graphs are.
    """
    graph = TypedGraph.load(network)
    executor = make_executor(device, graph)
    samples = list(read_graphs(graphs))[-limit:]
    found, counts = [], SizeCounts()
    for sample in progress(samples, description="sector graphs"):
        for part in phi_sectors(sample, SECTORS).parts:
            if len(part.sample.edges):
                logits = executor.run(graph_inputs(part.sample))["logits"][:, 0]
                found.append(ScoreSample(scores=logits, labels=part.sample.labels))
                counts[len(part.sample.nodes), len(part.sample.edges)] += 1
    source = f"{len(samples)} graphs of {graphs.name}"
    return SectorFigures(
        scores=network_scores(found, threshold=0.0, sample=f"{len(found)} sectors of {source}"),
        sizes=GraphSizes.of(
            counts,
            kind=f"phi sector, 1 of {SECTORS}",
            sample=source,
            limit=network_limit(graph.maxima, SECTOR_NETWORK),
        ),
    )
