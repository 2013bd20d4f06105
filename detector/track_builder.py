"""Track building: from kept edges to a track label for every hit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csgraph

from ..core import GraphError

NO_TRACK = -1
"""Label of a hit on no track."""


def connected_components(
    edge_index: NDArray[np.int64],
    keep: NDArray[np.bool_] | None,
    hits: int,
    minimum_hits: int = 3,
) -> NDArray[np.int64]:
    """Make every connected component of the kept edges a track.

    Args:
        edge_index: int64 [edges, 2] hit indices; direction does not matter.
        keep: bool [edges], the edges to follow; None follows all.
        hits: Number of hits.
        minimum_hits: Components with fewer hits are no tracks.

    Returns:
        int64 [hits]: label 0, 1, ... in the order of each track's lowest hit index, `NO_TRACK` (-1) elsewhere.

    Raises:
        GraphError: `keep` is not a bool array of one entry per edge, or an edge leads out of the event.
    """
    if keep is not None:
        if keep.dtype != np.bool_ or keep.shape != (len(edge_index),):
            raise GraphError(
                f"keep is {keep.dtype} of shape {keep.shape}, expected bool ({len(edge_index)},)",
                remedy="compare the scores with the threshold first",
            )
        edge_index = edge_index[keep]
    component = component_of_node(edge_index, hits)
    sizes = np.bincount(component, minlength=1)
    is_track = (sizes >= minimum_hits)[component]
    _, first, inverse = np.unique(component[is_track], return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first, kind="stable")] = np.arange(len(first))
    labels = np.full(hits, NO_TRACK, dtype=np.int64)
    labels[is_track] = order[inverse]
    return labels


def component_of_node(edge_index: NDArray[np.int64], nodes: int) -> NDArray[np.int64]:
    """Number the weakly connected components of a graph.

    Args:
        edge_index: int64 [edges, 2] node indices.
        nodes: Number of nodes.

    Returns:
        int64 [nodes]: component of each node, from 0; the numbering itself carries no meaning.

    Raises:
        GraphError: An edge leads to a node that does not exist.
    """
    if len(edge_index) and (edge_index.min() < 0 or edge_index.max() >= nodes):
        raise GraphError(
            f"edge indices span {edge_index.min()} to {edge_index.max()}, the graph has {nodes} nodes",
            remedy="give edges between nodes of the graph",
        )
    if nodes == 0:
        return np.zeros(0, dtype=np.int64)
    ones = np.ones(len(edge_index), dtype=np.int8)
    adjacency = coo_array((ones, (edge_index[:, 0], edge_index[:, 1])), shape=(nodes, nodes))
    _, component = csgraph.connected_components(adjacency, directed=True, connection="weak")
    return component.astype(np.int64)
