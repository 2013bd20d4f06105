"""Radius graphs: which hits lie close together in embedding space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..core import DataError, GraphError
from .pair_window import PairWindow
from .radius_search import RadiusSearch, open_search, refuse_above, squared_distances
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
    window: PairWindow | None = None,
    threads: int | None = None,
) -> NDArray[np.int64]:
    """Join all hits that are at most `radius` apart in embedding space.

    The search is exact (see `radius_search`), and the result is the same whatever the number of threads, and whether
    the search is compiled or, where there is no compiler, SciPy's.

    Args:
        embedding: float32 [hits, dimensions], finite.
        radius: Largest Euclidean distance of a pair, in units of the embedding.
        max_neighbours: Keep a pair only if one of its hits is among this many nearest of the other (equal distances by
            index). None keeps all.
        features: float32 [hits, 3] r (mm), phi (rad), z (mm), to direct edges from the inner to the outer hit;
            None directs from the lower to the higher index.
        max_edges: Refuse to make more pairs than this, counted before the window.
        window: Keep only the edges within these cuts on the features; None keeps all. Cut as they are found, the others
            take no memory.
        threads: Threads of the compiled search; None takes all cores this process may use.

    Returns:
        int64 [edges, 2], columns (sender, receiver), sorted lexicographically, each pair once.

    Raises:
        DataError: The embedding is not finite or not two-dimensional, or the features are those of other hits.
        GraphError: More pairs than `max_edges`, or a radius that is negative or no number.
    """
    _check(embedding, radius, features, window)
    if len(embedding) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    hits = len(embedding)
    with open_search(embedding, threads) as search:
        if hits * (hits - 1) // 2 > max_edges:  # else no radius joins too many
            refuse_above(_estimated_pairs(search, embedding, radius), max_edges, slack=2.0, about="about ")
        if max_neighbours is None:
            return search.edges(radius, features, window, max_edges=max_edges)
        pairs = search.edges(radius, None, None, max_edges=max_edges)
    edges = inside_out(_nearest(embedding.astype(np.float64), pairs, max_neighbours), features)
    return edges if window is None or features is None else edges[window.keeps(features, edges)]


def _check(
    embedding: NDArray[np.float32], radius: float, features: NDArray[np.float32] | None, window: PairWindow | None
) -> None:
    if embedding.ndim != 2 or embedding.shape[1] == 0 or not np.isfinite(embedding).all():
        raise DataError(
            f"embedding of shape {embedding.shape} is not a finite [hits, dimensions] array",
            remedy="check the embedding network and its inputs",
        )
    if features is not None and (features.shape != (len(embedding), 3) or features.dtype != np.float32):
        raise DataError(
            f"features are {features.dtype} {list(features.shape)}, the embedding has {len(embedding)} hits",
            remedy="give r, phi, z of the same hits as float32 [hits, 3]",
        )
    if window is not None and features is None:
        raise DataError("a window cuts on features, and there are none", remedy="give the features of the hits")
    if not radius >= 0:
        raise GraphError(f"the radius is {radius}", remedy="give a distance of 0 or more")


def _estimated_pairs(search: RadiusSearch, embedding: NDArray[np.float32], radius: float) -> int:
    """Number of pairs, extrapolated from a fixed random sample of hits (exact for small events)."""
    hits = len(embedding)
    sample = np.random.default_rng(0).permutation(hits)[:COUNTED_SAMPLE]
    neighbours = search.neighbours(embedding[sample], radius) - len(sample)
    return int(neighbours * (hits / len(sample)) / 2)


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
    rows = rows[np.argsort(squared_distances(points, pairs[rows]), kind="stable")]
    rank = _ranks(pairs[rows], len(points))
    kept[rows] |= (rank[:, 0] < count) | (rank[:, 1] < count)
    return pairs[kept]


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
