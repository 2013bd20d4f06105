"""Time the track builders beside a walkthrough that goes path by path in Python, as ACORN's does.

    python benchmarks/track_building.py [--json FILE] [--largest 1000000]

The graphs are made of tracks of 4 to 12 hits (helices are not needed: a builder sees edges and scores only) with
overlapping modules and wrong edges, so many that nine hits in ten lie in components that branch; behind the shipped
filter it is one in four. All sides build the tracks of the same graphs in the same process. Times are processor seconds
of one thread, the median of several runs, with their spread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hitfabric.detector import NO_TRACK, TrackBuilderConfig, build_tracks

EDGES = (1_000, 10_000, 100_000, 1_000_000)
SLOWEST_SECONDS = 30.0
"""A side whose run at one size suggests a longer one at the next is left out there."""

COMPONENTS = TrackBuilderConfig(kind="connected_components", threshold=0.0)
WALK = TrackBuilderConfig(kind="walkthrough", threshold=-4.6, walk_min=-2.2, walk_add=0.4)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredGraph:
    """Edges with logits, and the particle of each hit."""

    edge_index: NDArray[np.int64]
    logits: NDArray[np.float32]
    particle: NDArray[np.int64]


def make_graph(edges: int, seed: int = 0) -> ScoredGraph:
    """A random graph of about `edges` edges."""
    generator = np.random.default_rng(seed)
    layers = generator.integers(4, 13, size=max(edges // 11, 1))
    twice = generator.random((len(layers), 13)) < 0.15  # two hits in overlapping modules
    count = np.where(np.arange(13) < layers[:, None], 1 + twice, 0)
    particle = np.repeat(np.arange(len(layers)), count.sum(axis=1))
    layer = np.repeat(np.tile(np.arange(13), len(layers)), count.ravel())
    first = np.cumsum(count.ravel()).reshape(count.shape) - count
    pairs = []
    for a in range(2):
        for b in range(2):
            there = (count[:, :-1] > a) & (count[:, 1:] > b)
            pairs.append(np.stack([(first[:, :-1] + a)[there], (first[:, 1:] + b)[there]], axis=1))
    true = np.concatenate(pairs)
    wrong = generator.integers(0, len(particle), size=(len(true) // 4, 2))
    wrong = wrong[layer[wrong[:, 0]] < layer[wrong[:, 1]]]
    edge_index = np.concatenate([true, wrong])
    logits = np.where(np.arange(len(edge_index)) < len(true), 3.0, -3.0) + generator.normal(0, 1.5, len(edge_index))
    names = generator.permutation(len(particle))
    moved = np.empty(len(particle), dtype=np.int64)
    moved[names] = particle
    return ScoredGraph(edge_index=names[edge_index], logits=logits.astype(np.float32), particle=moved)


def python_walk(graph: ScoredGraph, cut: float, walk_min: float, walk_add: float) -> NDArray[np.int64]:
    """ACORN's CCandWalk in plain Python: simple components, then the longest road of each hit in topological order."""
    ahead: list[dict[int, float]] = [{} for _ in graph.particle]
    behind: list[list[int]] = [[] for _ in graph.particle]
    for (sender, receiver), logit in zip(graph.edge_index.tolist(), graph.logits.tolist(), strict=True):
        if logit > cut:
            ahead[sender][receiver] = logit
            behind[receiver].append(sender)
    labels, tracks = [NO_TRACK] * len(ahead), 0
    used = [False] * len(ahead)
    for component in _components(ahead, behind):
        if all(len(ahead[hit]) <= 1 and len(behind[hit]) <= 1 for hit in component):
            for hit in component:
                used[hit] = True
                labels[hit] = tracks if len(component) > 2 else NO_TRACK
            tracks += len(component) > 2
    for start in _topological(ahead, behind):
        if used[start]:
            continue
        roads, longest = [[start]], [start]
        while roads:
            longer = []
            for road in roads:
                onwards = [(logit, hit) for hit, logit in ahead[road[-1]].items() if not used[hit] and logit > walk_min]
                onwards.sort(reverse=True)
                chosen = [hit for place, (logit, hit) in enumerate(onwards) if place == 0 or logit > walk_add]
                longer += [[*road, hit] for hit in chosen]
            longest = longer[-1] if longer else longest
            roads = longer
        for hit in longest:
            used[hit] = True
            labels[hit] = tracks if len(longest) > 2 else NO_TRACK
        tracks += len(longest) > 2
    return np.array(labels, dtype=np.int64)


def _components(ahead: list[dict[int, float]], behind: list[list[int]]) -> list[list[int]]:
    seen, components = [False] * len(ahead), []
    for start in range(len(ahead)):
        if seen[start]:
            continue
        seen[start], component = True, [start]
        for hit in component:
            for other in (*ahead[hit], *behind[hit]):
                if not seen[other]:
                    seen[other] = True
                    component.append(other)
        components.append(component)
    return components


def _topological(ahead: list[dict[int, float]], behind: list[list[int]]) -> list[int]:
    waiting = [len(senders) for senders in behind]
    order = [hit for hit, count in enumerate(waiting) if count == 0]
    for hit in order:
        for receiver in ahead[hit]:
            waiting[receiver] -= 1
            if waiting[receiver] == 0:
                order.append(receiver)
    return order


def sides(graph: ScoredGraph) -> dict[str, Callable[[], NDArray[np.int64]]]:
    """What is timed, by name."""
    hits = len(graph.particle)
    return {
        "connected components": lambda: build_tracks(graph.edge_index, graph.logits, hits, COMPONENTS),
        "walkthrough": lambda: build_tracks(graph.edge_index, graph.logits, hits, WALK),
        "plain Python walkthrough": lambda: python_walk(graph, WALK.threshold, WALK.walk_min, WALK.walk_add),
    }


def found_share(labels: NDArray[np.int64], particle: NDArray[np.int64]) -> float:
    """Share of the particles that have a track at least half of whose hits are theirs."""
    on_track = labels != NO_TRACK
    pairs, shared = np.unique(np.stack([labels[on_track], particle[on_track]]), axis=1, return_counts=True)
    matched = shared * 2 >= np.bincount(labels[on_track])[pairs[0]]
    return len(np.unique(pairs[1][matched])) / (int(particle.max()) + 1)


def measure(largest: int, repeats: int = 5) -> list[dict[str, object]]:
    """Median and spread of each side at each size."""
    found: list[dict[str, object]] = []
    slow: set[str] = set()
    for edges in (size for size in EDGES if size <= largest):
        graph = make_graph(edges)
        for side, run in sides(graph).items():
            if side in slow:
                continue
            times, labels = [], graph.particle
            for _ in range(repeats):
                start = time.process_time()
                labels = run()
                times.append(time.process_time() - start)
                if times[-1] * 10 > SLOWEST_SECONDS:
                    slow.add(side)
                    break
            median = statistics.median(times)
            found.append(
                {
                    "side": side,
                    "edges": len(graph.edge_index),
                    "hits": len(graph.particle),
                    "seconds": median,
                    "spread": (max(times) - min(times)) / median,
                    "found": found_share(labels, graph.particle),
                }
            )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=EDGES[-1])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    results = measure(options.largest)
    table = Table("side", "edges", "hits", "ms", "edges/s", "spread", "particles found", title="track building")
    for row in results:
        seconds, edges = float(str(row["seconds"])), int(str(row["edges"]))
        table.add_row(
            str(row["side"]),
            f"{edges:,}",
            f"{int(str(row['hits'])):,}",
            f"{seconds * 1e3:,.1f}",
            f"{edges / seconds:,.0f}",
            f"{float(str(row['spread'])):.0%}",
            f"{float(str(row['found'])):.1%}",
        )
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
