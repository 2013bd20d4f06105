"""Searches for the pairs within a radius that `graph_construction.py` compares; all end in the same order of edges.

Libraries that hitfabric does not need take part where they are installed:
pip install scikit-learn pynanoflann faiss-cpu
"""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from hitfabric.detector import inside_out, radius_graph
from hitfabric.detector.radius_search import ScipySearch, squared_distances

GRID_DIMENSIONS = 3
Edges = NDArray[np.int64]
Points = NDArray[np.float32]


def by_ball(points: Points, radius: float, workers: int) -> Edges:
    """Neighbours of every hit, each pair twice."""
    wide = points.astype(np.float64)
    found = KDTree(wide).query_ball_point(wide, radius, workers=workers, return_sorted=False)
    counts = np.fromiter(map(len, found), np.int64, len(found))
    return half(np.repeat(np.arange(len(found)), counts), np.fromiter(itertools.chain(*found), np.int64, counts.sum()))


def by_nearest(points: Points, radius: float, workers: int) -> Edges:
    """As many nearest neighbours as the most crowded hit has, each pair twice."""
    wide = points.astype(np.float64)
    tree = KDTree(wide)
    most = int(tree.query_ball_point(wide, radius, return_length=True, workers=workers).max())
    _, found = tree.query(wide, k=np.arange(1, most + 1), distance_upper_bound=radius * (1 + 1e-12), workers=workers)
    centre, column = np.nonzero(found < len(wide))
    return half(centre, found[centre, column])


def by_matrix(points: Points, radius: float) -> Edges:
    """Sparse matrix of distances, each pair twice."""
    tree = KDTree(points.astype(np.float64))
    found = tree.sparse_distance_matrix(tree, radius, output_type="ndarray")
    return half(found["i"].astype(np.int64), found["j"].astype(np.int64))


def by_grid(points: Points, radius: float) -> Edges:
    """Hits sorted into cells of the widest dimensions; neighbouring cells are joined, then distances are cut."""
    wide = points.astype(np.float64)
    widest = np.argsort(-wide.std(axis=0))[:GRID_DIMENSIONS]
    cells = np.floor((wide[:, widest] - wide[:, widest].min(axis=0)) / radius).astype(np.int64) + 1
    strides = np.cumprod(np.append(1, cells.max(axis=0)[:-1] + 2))
    keys = cells @ strides
    order = np.argsort(keys, kind="stable")
    keys, columns = keys[order], np.ascontiguousarray(wide[order].T)
    found = []
    for step in itertools.product((-1, 0, 1), repeat=GRID_DIMENSIONS):
        if step < (0,) * GRID_DIMENSIONS:
            continue  # each pair of cells once
        start = np.searchsorted(keys, keys + np.dot(step, strides), side="left")
        end = np.searchsorted(keys, keys + np.dot(step, strides), side="right")
        if not any(step):
            start = np.arange(1, len(keys) + 1)
        counts = np.maximum(end - start, 0)
        first = np.repeat(np.arange(len(keys)), counts)
        second = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts) + start[first]
        squared = np.zeros(len(first))
        for column in columns:
            squared += np.square(column[first] - column[second])
        near = squared <= radius**2
        found.append(np.stack([order[first[near]], order[second[near]]], axis=1))
    return np.concatenate(found)


def half(centre: Edges, other: Edges) -> Edges:
    """Of pairs seen from both hits, those seen from the one of lower index."""
    once = centre < other
    return np.stack([centre[once], other[once]], axis=1)


def by_lists(found: Sequence[NDArray[np.int64]]) -> Edges:
    """Neighbours of every hit in lists, each pair twice."""
    counts = np.fromiter(map(len, found), np.int64, len(found))
    return half(np.repeat(np.arange(len(found)), counts), np.concatenate(found).astype(np.int64))


def exactly(points: Points, radius: float, pairs: Edges) -> Edges:
    """Of pairs that were found in float32 within a little more than the radius, those within it."""
    return pairs[squared_distances(points.astype(np.float64), pairs) <= radius**2]


def by_faiss(points: Points, radius: float, threads: int) -> Edges:
    """All pairs of hits."""
    faiss = import_module("faiss")
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    limits, _, found = index.range_search(points, radius**2 * 1.001 + 1e-5)
    return exactly(points, radius, half(np.repeat(np.arange(len(points)), np.diff(limits).astype(np.int64)), found))


def other_libraries(points: Points, radius: float, cores: int) -> dict[str, Callable[[], Edges]]:
    """Searches of libraries that hitfabric does not need, as far as they are installed."""
    wide = points.astype(np.float64)
    sides: dict[str, Callable[[], Edges]] = {}
    if importlib.util.find_spec("sklearn"):
        neighbors = import_module("sklearn.neighbors")
        sides["scikit-learn BallTree"] = lambda: by_lists(neighbors.BallTree(wide).query_radius(wide, radius))
        sides["scikit-learn KDTree"] = lambda: by_lists(neighbors.KDTree(wide).query_radius(wide, radius))
    if importlib.util.find_spec("pynanoflann"):
        nanoflann = import_module("pynanoflann")

        def search(jobs: int) -> Edges:
            tree = nanoflann.KDTree(metric="L2", leaf_size=32, radius=radius)
            tree.fit(wide)
            # It takes the radius as float32.
            found = tree.radius_neighbors(wide, radius * (1 + 1e-6), return_distance=False, n_jobs=jobs)
            return exactly(points, radius, by_lists(found))

        sides["nanoflann"] = lambda: search(1)
        sides[f"nanoflann, {cores} threads"] = lambda: search(cores)
    if importlib.util.find_spec("faiss"):
        sides[f"faiss IndexFlatL2, {cores} threads"] = lambda: by_faiss(points, radius, cores)
    return sides


def radius_sides(points: Points, features: Points, radius: float) -> dict[str, Callable[[], Edges]]:
    """What is timed, by name."""
    cores = len(os.sched_getaffinity(0))
    wide = points.astype(np.float64)
    others = {
        "KDTree defaults, query_pairs": lambda: KDTree(wide).query_pairs(radius, output_type="ndarray"),
        "KDTree query_ball_point": lambda: by_ball(points, radius, 1),
        f"KDTree query_ball_point, {cores} threads": lambda: by_ball(points, radius, cores),
        f"KDTree query(k), {cores} threads": lambda: by_nearest(points, radius, cores),
        "KDTree sparse_distance_matrix": lambda: by_matrix(points, radius),
        "grid of cells, NumPy": lambda: by_grid(points, radius),
        **other_libraries(points, radius, cores),
    }

    def ordered(search: Callable[[], Edges]) -> Callable[[], Edges]:
        return lambda: inside_out(search().astype(np.int64), features)

    return {
        "radius_graph": lambda: radius_graph(points, radius, features=features, threads=1),
        f"radius_graph, {cores} threads": lambda: radius_graph(points, radius, features=features, threads=cores),
        "without compiler (KDTree query_pairs)": lambda: ScipySearch(points).edges(
            radius, features, None, max_edges=10**9
        ),
        **{name: ordered(search) for name, search in others.items()},
    }
