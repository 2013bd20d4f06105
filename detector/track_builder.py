"""Track building: from kept edges to a track label for every hit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csgraph

from ..core import GraphError
from .compiled_tracks import compiled_components

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
    if keep is not None and (keep.dtype != np.bool_ or keep.shape != (len(edge_index),)):
        raise GraphError(
            f"keep is {keep.dtype} of shape {keep.shape}, expected bool ({len(edge_index)},)",
            remedy="compare the scores with the threshold first",
        )

    def by_scipy() -> NDArray[np.int64]:
        return scipy_components(edge_index, keep, hits, minimum_hits)

    labels = compiled_components(edge_index, keep, hits, minimum_hits, refuse=by_scipy)
    return by_scipy() if labels is None else labels


def scipy_components(
    edge_index: NDArray[np.int64], keep: NDArray[np.bool_] | None, hits: int, minimum_hits: int
) -> NDArray[np.int64]:
    """`connected_components` in SciPy and NumPy, as is done without a compiler."""
    followed = edge_index if keep is None else edge_index[keep]
    return number_tracks(component_of_node(followed, hits), minimum_hits)


def number_tracks(labels: NDArray[np.int64], minimum_hits: int) -> NDArray[np.int64]:
    """Number tracks in the order of their lowest hit index and drop the short ones.

    Args:
        labels: int64 [hits], any number >= 0 for a track, `NO_TRACK` (-1) for none.
        minimum_hits: Tracks with fewer hits are dropped.

    Returns:
        int64 [hits]: label 0, 1, ..., `NO_TRACK` (-1) elsewhere.
    """
    hits = np.flatnonzero(labels != NO_TRACK)
    track = labels[hits]
    numbered = np.full(len(labels), NO_TRACK, dtype=np.int64)
    if len(hits) == 0:
        return numbered
    sizes = np.bincount(track)
    long_enough = sizes[track] >= minimum_hits
    hits, track = hits[long_enough], track[long_enough]
    # Written from the last hit to the first, so that the lowest hit of each track stays; no sorting.
    first = np.full(len(sizes), NO_TRACK, dtype=np.int64)
    first[track[::-1]] = hits[::-1]
    opens = np.zeros(len(labels), dtype=np.int64)
    opens[first[first != NO_TRACK]] = 1
    numbered[hits] = (np.cumsum(opens) - 1)[first[track]]
    return numbered


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
