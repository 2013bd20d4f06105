"""Time graph construction: radius graphs by several searches, and geometric doublets beside all pairs of two layers.

    python benchmarks/graph_construction.py [--events DIR] [--json FILE]

The radius graphs are those of an event's hits in the 8-dimensional embedding that is shipped, at radii that give the
wanted number of edges per hit; without --events the event is simulated (ideal helices, about 1e5 hits). All sides start
from the embedding, end with the same edges in the same order (this is checked) and run in the same process. Times are
wall times, the median of several runs with their spread; only the sides named so use more than one thread. Libraries
that hitfabric does not need take part where they are installed (see graph_searches.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from chosen_event import choose_event
from graph_searches import Edges, Points, radius_sides
from rich.console import Console
from rich.table import Table
from scipy.spatial import KDTree

from hitfabric.detector import (
    DoubletCuts,
    Event,
    embedding_features,
    geometric_doublets,
    selected_hits,
)
from hitfabric.detector.doublets import _passes
from hitfabric.emulation import make_executor
from hitfabric.models.zoo import zoo_path
from hitfabric.quantization import TypedGraph

EDGES_PER_HIT = (6, 10, 20)
REPEATS = 5
SLOW_SECONDS = 3.0
"""A side that takes longer is timed once."""

HOPELESS_SECONDS = 10.0
"""A side that took longer is left out at larger radii."""


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
        begun = time.perf_counter()
        edges = work()
        wanted = edges if wanted is None else wanted
        if not np.array_equal(edges, wanted):
            raise SystemExit(f"{what}: {side} gives other edges")
        times = []
        for _ in range(REPEATS if time.perf_counter() - begun < SLOW_SECONDS else 1):
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
    event = choose_event(options.events, pile_up=options.pile_up)
    points, features = embed(event), event.features()
    results: list[dict[str, object]] = []
    for edges_per_hit in EDGES_PER_HIT:
        sides = radius_sides(points, features, radius_for(points, edges_per_hit))
        hopeless = {row["side"] for row in results if float(str(row["seconds"])) > HOPELESS_SECONDS}
        sides = {side: work for side, work in sides.items() if side not in hopeless}
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
    Console(width=140).print(table)
    if options.json:
        options.json.write_text(json.dumps({"event": event.name, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
