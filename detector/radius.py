"""Radius graphs: which hits lie close together in embedding space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from ..core import DataError, GraphError
from .truth import inside_out

MAXIMAL_EDGES = 20_000_000
"""Default limit of `radius_graph`: 320 MB of pairs."""

LEAF_HITS = 32
"""Hits in a leaf of the search tree."""

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
    # Unbalanced trees with larger leaves were the fastest of SciPy's choices (benchmarks/graph_construction.py).
    tree = KDTree(embedding.astype(np.float64), leafsize=LEAF_HITS, balanced_tree=False, compact_nodes=False)
    _refuse_above(_estimated_pairs(tree, radius), max_edges, slack=2.0, about="about ")
    pairs = tree.query_pairs(radius, output_type="ndarray").astype(np.int64)
    _refuse_above(len(pairs), max_edges)
    if max_neighbours is not None:
        pairs = _nearest(tree.data, inside_out(pairs), max_neighbours)
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
    """Keep the pairs of which one hit is among the `count` nearest of the other.

    Args:
        points: float64 [hits, dimensions].
        pairs: int64 [pairs, 2], lower index first, sorted lexicographically.
        count: Neighbours of a hit.
    """
    crowded = np.bincount(pairs.ravel(), minlength=len(points)) > count
    first, second = crowded[pairs[:, 0]], crowded[pairs[:, 1]]
    kept = ~(first & second)  # a hit with few neighbours keeps them all
    rows = np.flatnonzero(first | second)
    rows = rows[np.argsort(_squared_distances(points, pairs[rows]), kind="stable")]
    rank = _ranks(pairs[rows], len(points))
    kept[rows] |= (rank[:, 0] < count) | (rank[:, 1] < count)
    return pairs[kept]


def _squared_distances(points: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Squared distance of each pair; one dimension after the other, which keeps memory small."""
    total = np.zeros(len(pairs))
    for column in np.ascontiguousarray(points.T):
        total += np.square(column[pairs[:, 0]] - column[pairs[:, 1]])
    return total


def _ranks(pairs: NDArray[np.int64], hits: int) -> NDArray[np.int64]:
    """How many earlier pairs share the first hit of each pair, and the second [pairs, 2].

    Among pairs sorted by distance, then lexicographically, this is the place of each hit among the neighbours of the
    other: for one hit, that order puts the neighbour of lower index first.
    """
    ends = pairs.ravel()
    by_end = csr_array((np.ones(len(ends), np.int8), ends, np.arange(len(ends) + 1)), shape=(len(ends), hits)).tocsc()
    rank = np.empty(len(ends), dtype=np.int64)
    rank[by_end.indices] = np.arange(len(ends)) - np.repeat(by_end.indptr[:-1], np.diff(by_end.indptr))
    return rank.reshape(-1, 2)
