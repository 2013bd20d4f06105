"""Searches for the pairs of points within a radius: compiled, or SciPy's where there is no compiler.

Both give the same edges, bit by bit. Two points are joined if the float64 sum of the squared differences, taken in the
order of the dimensions, is at most the float64 square of the radius.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..core import GraphError
from .compiled import available_threads, check_status, compiled_stages, pointer
from .pair_window import PairWindow
from .truth import inside_out

HITS_FOR_THREADS = 2048
"""Fewer hits are searched sooner than threads are started."""
LEAF_HITS = 32
"""Hits in a leaf of SciPy's tree."""

ROUNDING = 1e-9
"""SciPy searches this much (relative) beyond the radius; what it finds is then compared exactly."""


class RadiusSearch(Protocol):
    """Points, ready to be searched."""

    def neighbours(self, points: NDArray[np.float32], radius: float) -> int:
        """Number of pairs (one of some points [count, dimensions], hit within the radius of it)."""
        ...

    def edges(
        self, radius: float, features: NDArray[np.float32] | None, window: PairWindow | None, *, max_edges: int
    ) -> NDArray[np.int64]:
        """Edges of the radius graph that lie in the window, as `radius_graph` describes them.

        Raises:
            GraphError: More pairs than `max_edges` are within the radius, whether in the window or not.
        """
        ...


@contextmanager
def open_search(points: NDArray[np.float32], threads: int | None = None) -> Iterator[RadiusSearch]:
    """Build the fastest search there is.

    Args:
        points: float32 [hits, dimensions], finite; values of another type that float32 cannot hold go to SciPy.
        threads: Threads of the compiled search; None takes all cores.

    Yields:
        The search, usable until the block ends.
    """
    library = compiled_stages()
    narrow = points.astype(np.float32, order="C")
    if library is None or not np.array_equal(narrow, points):
        yield ScipySearch(points)
        return
    alone = len(narrow) < HITS_FOR_THREADS
    search = CompiledSearch(library, narrow, threads=1 if alone else threads or available_threads())
    try:
        yield search
    finally:
        search.close()


class ScipySearch:
    """Search by SciPy's KDTree, on one thread.

    Args:
        points: [hits, dimensions], finite.
    """

    def __init__(self, points: NDArray[np.floating]) -> None:
        # Unbalanced trees with larger leaves were the fastest of SciPy's choices (benchmarks/graph_construction.py).
        self._points = points.astype(np.float64)
        self._tree = KDTree(self._points, leafsize=LEAF_HITS, balanced_tree=False, compact_nodes=False)

    def neighbours(self, points: NDArray[np.float32], radius: float) -> int:
        """See `RadiusSearch`; pairs within rounding of the radius may count either way."""
        return int(self._tree.query_ball_point(points.astype(np.float64), radius, return_length=True).sum())

    def edges(
        self, radius: float, features: NDArray[np.float32] | None, window: PairWindow | None, *, max_edges: int
    ) -> NDArray[np.int64]:
        """See `RadiusSearch`."""
        pairs = self._tree.query_pairs(radius * (1 + ROUNDING), output_type="ndarray").astype(np.int64)
        pairs = pairs[squared_distances(self._points, pairs) <= radius * radius]
        refuse_above(len(pairs), max_edges)
        edges = inside_out(pairs, features)
        return edges if window is None or features is None else edges[window.keeps(features, edges)]


class CompiledSearch:
    """Search by our own tree (`cpp/point_tree.h`), the window applied to each pair as it is found.

    Args:
        library: The compiled host stages.
        points: float32 [hits, dimensions], contiguous, finite.
        threads: Threads of a search; the edges do not depend on it.

    Raises:
        GraphError: Out of memory.
    """

    def __init__(self, library: ctypes.CDLL, points: NDArray[np.float32], *, threads: int) -> None:
        self._library, self._threads, self._hits = library, ctypes.c_int(threads), len(points)
        shape = map(ctypes.c_int64, points.shape)
        self._handle = ctypes.c_void_p(library.hitfabric_radius_open(pointer(points), *shape, self._threads))
        if not self._handle:
            raise GraphError(f"out of memory for {len(points)} hits", remedy="give smaller events")

    def close(self) -> None:
        """Free the tree."""
        self._library.hitfabric_radius_close(self._handle)
        self._handle = ctypes.c_void_p(None)

    def neighbours(self, points: NDArray[np.float32], radius: float) -> int:
        """See `RadiusSearch`."""
        count = ctypes.c_int64()
        points = np.ascontiguousarray(points, dtype=np.float32)
        check_status(
            self._library.hitfabric_radius_count(
                self._handle, ctypes.c_double(radius), pointer(points), ctypes.c_int64(len(points)), ctypes.byref(count)
            ),
            sizes=(self._hits,),
        )
        return count.value

    def edges(
        self, radius: float, features: NDArray[np.float32] | None, window: PairWindow | None, *, max_edges: int
    ) -> NDArray[np.int64]:
        """See `RadiusSearch`."""
        cuts = None if window is None else np.array([window.max_phi_slope, window.max_z0])
        sizes = np.zeros(2, dtype=np.int64)
        features = None if features is None else np.ascontiguousarray(features, dtype=np.float32)
        status = self._library.hitfabric_radius_search(
            self._handle,
            ctypes.c_double(radius),
            pointer(features),
            pointer(cuts),
            ctypes.c_int64(max_edges),
            self._threads,
            pointer(sizes),
        )
        check_status(status, sizes=(self._hits,))
        refuse_above(int(sizes[0]), max_edges)
        edges = np.empty((int(sizes[1]), 2), dtype=np.int64)
        check_status(
            self._library.hitfabric_radius_edges(self._handle, pointer(edges), self._threads),
            sizes=(self._hits, len(edges)),
        )
        return edges


def squared_distances(points: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Squared distance of each pair; one dimension after the other, which keeps memory small.

    Args:
        points: float64 [hits, dimensions].
        pairs: int64 [pairs, 2].

    Returns:
        float64 [pairs].
    """
    total = np.zeros(len(pairs))
    for column in np.ascontiguousarray(points.T):
        total += np.square(column[pairs[:, 0]] - column[pairs[:, 1]])
    return total


def refuse_above(pairs: int, max_edges: int, *, slack: float = 1.0, about: str = "") -> None:
    """Refuse a radius graph that is too large.

    Raises:
        GraphError: More pairs than `slack * max_edges`.
    """
    if pairs > slack * max_edges:
        raise GraphError(
            f"the radius graph has {about}{pairs} edges, the maximum is {max_edges}",
            remedy="lower the radius, or raise max_edges",
        )
