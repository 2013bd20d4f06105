"""Time graph construction: radius graphs by several searches, and geometric doublets beside all pairs of two layers.

    python benchmarks/graph_construction.py [--events DIR] [--json FILE]

The radius graphs are those of an event's hits in the 8-dimensional embedding that is shipped, at radii that give the
wanted number of edges per hit; without --events the event is simulated (ideal helices, about 1e5 hits). All sides start
from the embedding, end with the same edges in the same order (this is checked) and run in the same process. Times are
wall times, the median of several runs with their spread; only the sides named so use more than one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.spatial import KDTree

from hitfabric.detector import (
    DoubletCuts,
    Event,
    embedding_features,
    geometric_doublets,
    inside_out,
    list_events,
    radius_graph,
    read_event,
    selected_hits,
)
from hitfabric.detector.doublets import _passes
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.emulation import make_executor
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import TypedGraph

EDGES_PER_HIT = (6, 10, 20)
REPEATS = 5
GRID_DIMENSIONS = 3
Edges = NDArray[np.int64]
Points = NDArray[np.float32]


def embed(event: Event) -> Points:
    """Where the shipped embedding puts the hits."""
    graph = TypedGraph.load(zoo_path("event-pixel") / "embedding")
    executor = make_executor("golden", graph)
    return executor.run({graph.inputs[0].name: embedding_features(event.features())})["embedding"]


def radius_for(points: Points, edges_per_hit: float) -> float:
    """Radius with about that many edges per hit, by bisection on a sample of hits."""
    wide = points.astype(np.float64)
    tree = KDTree(wide)
    sample = wide[np.random.default_rng(0).permutation(len(wide))[:4000]]
    low, high = 1e-4, 10.0
    for _ in range(30):
        middle = float(np.sqrt(low * high))
        edges = (tree.query_ball_point(sample, middle, return_length=True).mean() - 1) / 2
        low, high = (middle, high) if edges < edges_per_hit else (low, middle)
    return high


def unique_order(pairs: Edges, features: Points) -> Edges:
    """Direction and order by np.unique, as before `inside_out` sorted integers."""
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    distance = features[:, 0].astype(np.float64) ** 2 + features[:, 2].astype(np.float64) ** 2
    inward = distance[high] < distance[low]
    keys = np.unique(np.where(inward, high, low) * len(features) + np.where(inward, low, high))
    return np.stack(np.divmod(keys, len(features)), axis=1)


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


def radius_sides(points: Points, features: Points, radius: float) -> dict[str, Callable[[], Edges]]:
    """What is timed, by name; every side ends in the same order of edges."""
    cores = os.cpu_count() or 1
    wide = points.astype(np.float64)

    def pairs(**options: bool | int) -> Edges:
        return KDTree(wide, **options).query_pairs(radius, output_type="ndarray").astype(np.int64)

    return {
        "radius_graph": lambda: radius_graph(points, radius, features=features),
        "KDTree defaults, query_pairs": lambda: inside_out(pairs(), features),
        "the same, np.unique": lambda: unique_order(pairs(), features),
        "KDTree unbalanced, leaves of 10": lambda: inside_out(
            pairs(balanced_tree=False, compact_nodes=False), features
        ),
        "KDTree balanced, leaves of 32": lambda: inside_out(pairs(leafsize=32), features),
        "KDTree query_ball_point": lambda: inside_out(by_ball(points, radius, 1), features),
        f"the same, {cores} threads": lambda: inside_out(by_ball(points, radius, cores), features),
        f"KDTree query(k), {cores} threads": lambda: inside_out(by_nearest(points, radius, cores), features),
        "KDTree sparse_distance_matrix": lambda: inside_out(by_matrix(points, radius), features),
        "grid of cells, NumPy": lambda: inside_out(by_grid(points, radius), features),
    }


def all_pairs(event: Event, cuts: DoubletCuts) -> Edges:
    """Every pair of hits of two layers, then the cuts: what the published preparation of graphs does."""
    coordinates = np.ascontiguousarray(event.features().T, dtype=np.float64)
    found = []
    for pair in cuts.layer_pairs:
        (inner, outer) = (
            np.flatnonzero((event.volume_id == volume) & (event.layer_id == layer))
            for volume, layer in (pair.inner, pair.outer)
        )
        senders, receivers = np.repeat(inner, len(outer)), np.tile(outer, len(inner))
        passed = _passes(coordinates[:, senders], coordinates[:, receivers], pair, cuts)
        found.append(np.stack([senders[passed], receivers[passed]], axis=1))
    edges = np.concatenate(found)
    return edges[np.lexsort((edges[:, 1], edges[:, 0]))]


def measure(sides: Mapping[str, Callable[[], Edges]], what: str, hits: int) -> list[dict[str, object]]:
    """Median and spread of each side; all must give the edges of the first."""
    found: list[dict[str, object]] = []
    wanted: Edges | None = None
    for side, work in sides.items():
        edges = work()
        wanted = edges if wanted is None else wanted
        if not np.array_equal(edges, wanted):
            raise SystemExit(f"{what}: {side} gives other edges")
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        median = statistics.median(times)
        spread = (max(times) - min(times)) / median
        row = {"graph": what, "side": side, "hits": hits, "edges": len(edges), "seconds": median, "spread": spread}
        found.append(row)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, help="folder of events; the last one is taken")
    parser.add_argument("--pile-up", type=float, default=330.0, help="of the simulated event")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.events:
        event = read_event(list_events(options.events)[-1])
    else:
        event = simulate_helix_event("helices", rng=np.random.default_rng(0), pile_up=options.pile_up)
    points, features = embed(event), event.features()
    results: list[dict[str, object]] = []
    for edges_per_hit in EDGES_PER_HIT:
        sides = radius_sides(points, features, radius_for(points, edges_per_hit))
        results += measure(sides, f"radius, {edges_per_hit} edges per hit", len(event))
    cuts = DoubletCuts(min_pt=1.0)
    chosen = event.take(selected_hits(event, cuts))
    sides = {
        "geometric_doublets": lambda: geometric_doublets(chosen, cuts),
        "all pairs": lambda: all_pairs(chosen, cuts),
    }
    results += measure(sides, "doublets, pT > 1 GeV", len(chosen))
    pixels = event.take(selected_hits(event, DoubletCuts(min_pt=None, one_hit_per_layer=False)))
    whole = {"geometric_doublets": lambda: geometric_doublets(pixels, cuts)}
    results += measure(whole, "doublets, every pixel hit", len(pixels))
    table = Table("graph", "side", "hits", "edges", "ms", "spread", title=f"graph construction, {event.name}")
    for row in results:
        milliseconds, spread = f"{float(str(row['seconds'])) * 1e3:,.1f}", f"{float(str(row['spread'])):.0%}"
        counts = (f"{row['hits']:,}", f"{row['edges']:,}")
        table.add_row(str(row["graph"]), str(row["side"]), *counts, milliseconds, spread)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"event": event.name, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
