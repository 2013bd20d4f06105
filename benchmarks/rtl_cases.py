"""What the RTL benchmark measures with: sectors of real graphs, drawn graphs, engines of shipped networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hitfabric.core import ToolError
from hitfabric.detector import phi_sectors, read_graphs
from hitfabric.emulation.rtl import RtlExecutor
from hitfabric.emulation.rtl_cycles import CycleFigures
from hitfabric.hls_projects.rtl_config import RtlConfig
from hitfabric.hls_projects.rtl_estimates import RtlEstimate, estimate_rtl
from hitfabric.hls_projects.rtl_project import RtlProject, cached_rtl_project
from hitfabric.models.zoo import zoo_path
from hitfabric.pipeline.vectors import Arrays, graph_inputs
from hitfabric.quantization import Maxima, TypedGraph

SECTOR = Maxima(nodes=256, edges=512)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Data and design of a run.

    Attributes:
        graphs: Inputs of the sectors.
        folder: Where they are from.
        edge_lanes: Edges per cycle of the sector design.
        node_lanes: Nodes per cycle of the input stream.
        update_lanes: Nodes per cycle of the passes that update nodes.
        spacing: Levels of adders between registers.
        place: Place the small design on an ECP5.
        seconds: Longest time of a run of a tool.
    """

    graphs: Sequence[Arrays]
    folder: Path
    edge_lanes: int
    node_lanes: int
    update_lanes: int
    spacing: float
    place: bool
    seconds: float

    @property
    def lanes(self) -> str:
        """The lanes of the sector design in words."""
        return f"{self.edge_lanes} edge, {self.node_lanes} node, {self.update_lanes} update lanes"

    def engine(self, **changes: object) -> RtlConfig:
        """The sector design, or another with these changes."""
        values: dict[str, object] = {
            "maxima": SECTOR,
            "edge_lanes": self.edge_lanes,
            "node_lanes": self.node_lanes,
            "update_lanes": self.update_lanes,
            "register_spacing": self.spacing,
        }
        return RtlConfig.model_validate(values | changes)


def sector_graphs(folder: Path, *, sectors: int, nodes: int, edges: int) -> list[Arrays]:
    """Inputs of every phi sector within the maxima."""
    parts = [part.sample for sample in read_graphs(folder) for part in phi_sectors(sample, sectors).parts]
    return [graph_inputs(part) for part in parts if len(part.nodes) <= nodes and len(part.edges) <= edges]


def drawn_graphs(count: int, *, nodes: int, edges: int, seed: int = 0) -> list[Arrays]:
    """Graphs of one size with features in the inputs' range and ends anywhere."""
    generator = np.random.default_rng(seed)
    return [
        {
            "nodes": generator.uniform(-1, 1, (nodes, 3)).astype(np.float32),
            "edges": generator.uniform(-1, 1, (edges, 4)).astype(np.float32),
            "edge_index": generator.integers(0, nodes, (edges, 2)),
        }
        for _ in range(count)
    ]


def network(name: str) -> TypedGraph:
    """A shipped network."""
    return TypedGraph.load(zoo_path(name))


def measured_cycles(name: str, config: RtlConfig, graphs: Sequence[Arrays]) -> CycleFigures:
    """Cycles of a network's engine over graphs, without stalls."""
    graph = network(name)
    executor = RtlExecutor(graph, project=cached_rtl_project(graph, config=config))
    try:
        return executor.measure_cycles(graphs)
    finally:
        executor.close()


def counted_cells(
    name: str, config: RtlConfig, *, seconds: float, seeds: Sequence[int] = ()
) -> tuple[RtlProject, RtlEstimate | None, str]:
    """Cells of a network's engine; None and the reason where a tool failed or took too long."""
    project = cached_rtl_project(network(name), config=config)
    try:
        return project, estimate_rtl(project, seconds=seconds, seeds=seeds), ""
    except ToolError as error:
        return project, None, error.message
