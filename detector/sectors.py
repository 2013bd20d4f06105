"""Cutting a graph into pieces that fit fixed sizes: sectors of the detector, or whole connected components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core import DataError, GraphError
from .graph_sample import GraphSample
from .sector_grid import NO_SECTOR, SectorGrid, edge_owners, sector_rows
from .track_builder import component_of_node


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphPart:
    """A piece of a graph, and where its nodes and edges came from.

    Attributes:
        sample: The piece, a graph of its own.
        node_rows: int64, row of each of its nodes in the whole graph, ascending.
        edge_rows: int64, row of each of its edges in the whole graph, ascending; `scores[part.edge_rows] = part_scores`
            puts results back.
        owned: bool, edges that belong to this piece. The others are also in a neighbour, which owns them: they carry
            messages here, and their results are taken there. All True without overlap.
    """

    sample: GraphSample
    node_rows: NDArray[np.int64]
    edge_rows: NDArray[np.int64]
    owned: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sectors:
    """Result of cutting a graph into sectors.

    Attributes:
        parts: One piece per sector, empty ones included; azimuth runs fastest.
        lost_edges: Number of edges that cross a border and belong to no piece.
        lost_true_edges: How many of these are true.
    """

    parts: tuple[GraphPart, ...]
    lost_edges: int
    lost_true_edges: int


def phi_sectors(sample: GraphSample, sectors: int = 16, *, eta_sectors: int = 1, eta_max: float = 4.0) -> Sectors:
    """Cut a graph into sectors of equal width in azimuth (and pseudorapidity).

    A node belongs to the sector it lies in; an edge to the sector of both its ends. Edges across borders are lost,
    and counted in the result: nothing is dropped in silence.

    Args:
        sample: The graph.
        sectors: Number of sectors in phi.
        eta_sectors: Number of sectors in eta, of equal width in [-eta_max, eta_max]; the outermost are open.
        eta_max: See `eta_sectors`.

    Returns:
        The `sectors * eta_sectors` pieces and the number of edges lost.

    Raises:
        DataError: A number of sectors below 1.
    """
    if sectors < 1 or eta_sectors < 1:
        raise DataError(f"cannot cut into {sectors} x {eta_sectors} sectors", remedy="give at least 1 of each")
    return cut_graph(sample, SectorGrid(phi=sectors, eta=eta_sectors, eta_max=eta_max))


def cut_graph(sample: GraphSample, grid: SectorGrid) -> Sectors:
    """Cut a graph into sectors of phi and eta that may overlap.

    A piece has the nodes its sector sees, and all edges between them; which of these are its own is in
    `GraphPart.owned` (see `sector_grid`). Every edge of the graph belongs to one piece or is counted as lost.

    Args:
        sample: The graph.
        grid: The sectors.

    Returns:
        The `grid.sectors` pieces and the number of edges lost.
    """
    # Nodes hold r and z in units of 1000 mm, phi in units of pi.
    features = sample.nodes.astype(np.float64) * [1000.0, np.pi, 1000.0]
    owner = edge_owners(features, sample.edge_index, grid)
    pieces = []
    for sector, node_rows in enumerate(sector_rows(features, grid)):
        seen = np.zeros(len(sample.nodes), dtype=np.bool_)
        seen[node_rows] = True
        edge_rows = np.flatnonzero(seen[sample.edge_index[:, 0]] & seen[sample.edge_index[:, 1]])
        pieces.append((node_rows, edge_rows, owner[edge_rows] == sector))
    lost = owner == NO_SECTOR
    return Sectors(
        parts=_parts(sample, pieces), lost_edges=int(lost.sum()), lost_true_edges=int((lost & sample.labels).sum())
    )


def pack_components(sample: GraphSample, nodes: int, edges: int) -> tuple[GraphPart, ...]:
    """Pack the connected components of a graph into as few pieces as a greedy rule finds.

    No edge joins two components, so message passing on the pieces gives exactly what it gives on the whole graph.
    Components are placed largest first, each into the first piece with room. No node or edge is lost.

    Args:
        sample: The graph.
        nodes: Largest number of nodes of a piece.
        edges: Largest number of edges of a piece.

    Returns:
        The pieces; none for a graph without nodes.

    Raises:
        GraphError: One component alone exceeds a maximum; both sizes are named.
    """
    component = component_of_node(sample.edge_index, len(sample.nodes))
    edge_component = component[sample.edge_index[:, 0]]
    count = int(component.max(initial=-1)) + 1
    node_counts = np.bincount(component, minlength=count)
    edge_counts = np.bincount(edge_component, minlength=count)
    oversize = np.flatnonzero((node_counts > nodes) | (edge_counts > edges))
    if len(oversize):
        worst = oversize[np.argmax(edge_counts[oversize])]
        raise GraphError(
            f"graph {sample.name} has a component of {node_counts[worst]} nodes and {edge_counts[worst]} edges, "
            f"the maxima are {nodes} nodes and {edges} edges",
            remedy="build for larger maxima, or cut it (phi_sectors)",
        )
    piece = _first_fit(node_counts, edge_counts, nodes, edges)
    return _split(sample, piece[component], piece[edge_component], int(piece.max(initial=-1)) + 1)


def _first_fit(
    node_counts: NDArray[np.int64], edge_counts: NDArray[np.int64], nodes: int, edges: int
) -> NDArray[np.int64]:
    """Piece of each component; components that fill most of a piece are placed first."""
    fill = np.maximum(node_counts / max(nodes, 1), edge_counts / max(edges, 1))
    piece = np.zeros(len(fill), dtype=np.int64)
    free_nodes = np.full(len(fill), nodes, dtype=np.int64)
    free_edges = np.full(len(fill), edges, dtype=np.int64)
    used = 0
    for number in np.argsort(-fill, kind="stable"):
        # One piece beyond those in use is always empty, so that a place is always found.
        room = (free_nodes[: used + 1] >= node_counts[number]) & (free_edges[: used + 1] >= edge_counts[number])
        place = int(np.argmax(room))
        piece[number] = place
        free_nodes[place] -= node_counts[number]
        free_edges[place] -= edge_counts[number]
        used = max(used, place + 1)
    return piece


def _split(
    sample: GraphSample, node_place: NDArray[np.int64], edge_place: NDArray[np.int64], count: int
) -> tuple[GraphPart, ...]:
    """Pieces 0 to `count` - 1 of a graph no edge of which joins two of them."""
    rows = zip(_rows_by_place(node_place, count), _rows_by_place(edge_place, count), strict=True)
    return _parts(sample, [(nodes, edges, np.ones(len(edges), dtype=np.bool_)) for nodes, edges in rows])


def _parts(
    sample: GraphSample, pieces: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]
) -> tuple[GraphPart, ...]:
    """Graphs of their own from node rows, edge rows and ownership of each piece."""
    local = np.zeros(len(sample.nodes), dtype=np.int64)
    parts = []
    for number, (node_rows, edge_rows, owned) in enumerate(pieces):
        local[node_rows] = np.arange(len(node_rows))
        piece = GraphSample(
            name=f"{sample.name}[{number}]",
            nodes=sample.nodes[node_rows],
            edges=sample.edges[edge_rows],
            edge_index=local[sample.edge_index[edge_rows]],
            labels=sample.labels[edge_rows],
            particle_id=sample.particle_id[node_rows],
        )
        parts.append(GraphPart(sample=piece, node_rows=node_rows, edge_rows=edge_rows, owned=owned))
    return tuple(parts)


def _rows_by_place(place: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    order = np.argsort(place, kind="stable")
    borders = np.searchsorted(place[order], np.arange(count + 1))
    return [order[borders[number] : borders[number + 1]] for number in range(count)]
