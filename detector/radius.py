"""Radius graphs: which hits lie close together in embedding space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..core import DataError, GraphError
from .truth import inside_out

MAXIMAL_EDGES = 20_000_000
"""Default limit of `radius_graph`: 320 MB of pairs."""

COUNTED_SAMPLE = 512
"""Hits whose neighbours are counted before all pairs are made, so that a hopeless radius costs no memory."""


def radius_graph(
    embedding: NDArray[np.float32],
    radius: float,
    max_neighbours: int | None = None,
    features: NDArray[np.float32] | None = None,
    *,
    max_edges: int = MAXIMAL_EDGES,
) -> NDArray[np.int64]:
    """Join all hits that are at most `radius` apart in embedding space.

    The search is exact, and the result is the same whatever the number of threads.

    Args:
        embedding: float32 [hits, dimensions], finite.
        radius: Largest Euclidean distance of a pair, in units of the embedding.
        max_neighbours: Keep a pair only if one of its hits is among this many nearest of the other (equal distances by
            index). None keeps all.
        features: float32 [hits, 3] r (mm), phi (rad), z (mm), to direct edges from the inner to the outer hit;
            None directs from the lower to the higher index.
        max_edges: Refuse to make more pairs than this.

    Returns:
        int64 [edges, 2], columns (sender, receiver), sorted lexicographically, each pair once.

    Raises:
        DataError: The embedding is not finite or not two-dimensional.
        GraphError: More pairs than `max_edges`.
    """
    if embedding.ndim != 2 or not np.isfinite(embedding).all():
        raise DataError(
            f"embedding of shape {embedding.shape} is not a finite [hits, dimensions] array",
            remedy="check the embedding network and its inputs",
        )
    if len(embedding) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    tree = KDTree(embedding.astype(np.float64))
    _refuse_above(_estimated_pairs(tree, radius), max_edges, slack=2.0, about="about ")
    pairs = tree.query_pairs(radius, output_type="ndarray").astype(np.int64)
    _refuse_above(len(pairs), max_edges)
    if max_neighbours is not None:
        pairs = _nearest(tree.data, pairs, max_neighbours)
    return inside_out(pairs, features)


def _estimated_pairs(tree: KDTree, radius: float) -> int:
    """Number of pairs, extrapolated from a fixed random sample of hits (exact for small events)."""
    sample = np.random.default_rng(0).permutation(tree.n)[:COUNTED_SAMPLE]
    neighbours = tree.query_ball_point(tree.data[sample], radius, return_length=True)
    return int((neighbours.sum() - len(sample)) * (tree.n / len(sample)) / 2)


def _refuse_above(pairs: int, max_edges: int, *, slack: float = 1.0, about: str = "") -> None:
    if pairs > slack * max_edges:
        raise GraphError(
            f"the radius graph has {about}{pairs} edges, the maximum is {max_edges}",
            remedy="lower the radius, or raise max_edges",
        )


def _nearest(points: NDArray[np.float64], pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Keep the pairs of which one hit is among the `count` nearest of the other."""
    distance = np.square(points[pairs[:, 0]] - points[pairs[:, 1]]).sum(axis=1)
    centre = np.concatenate([pairs[:, 0], pairs[:, 1]])
    other = np.concatenate([pairs[:, 1], pairs[:, 0]])
    order = np.lexsort((other, np.tile(distance, 2), centre))
    first = np.searchsorted(centre[order], centre[order])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - first
    return pairs[(rank.reshape(2, -1) < count).any(axis=0)]
