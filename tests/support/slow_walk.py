"""The walkthrough once more, slow and straight from its description: every path is enumerated."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

from hitfabric.detector import WalkthroughSettings

Edges = dict[tuple[int, int], float]
Path = tuple[int, ...]


def slow_walk(edge_index: np.ndarray, logits: np.ndarray, hits: int, settings: WalkthroughSettings) -> list[int]:
    """Labels by enumeration; for small acyclic graphs."""
    edges: Edges = {}
    for (sender, receiver), logit in zip(edge_index.tolist(), logits.tolist(), strict=True):
        if logit >= settings.component_threshold:
            edges[sender, receiver] = max(logit, edges.get((sender, receiver), -np.inf))
    tracks: list[set[int]] = []
    free: set[int] = set()
    for component in _components(edges, hits):
        simple = all(sum(pair[side] == hit for pair in edges) <= 1 for side in (0, 1) for hit in component)
        if simple:
            tracks.append(component)
        else:
            free |= component
    _sweeps(edges, free, tracks, settings, settings.minimum_hits)
    if settings.absorb:
        _sweeps(edges, free, tracks, settings, 2)
        tracks = _absorbed([*tracks, *({hit} for hit in free)], {e for e in edges if edges[e] >= settings.walk_min})
    tracks = sorted((track for track in tracks if len(track) >= settings.minimum_hits), key=min)
    return [next((i for i, track in enumerate(tracks) if hit in track), -1) for hit in range(hits)]


def _components(edges: Edges, hits: int) -> list[set[int]]:
    components = [{hit} for hit in range(hits)]
    for pair in edges:
        touched = [component for component in components if component & set(pair)]
        components = [component for component in components if component not in touched] + [set().union(*touched)]
    return components


def _sweeps(
    edges: Edges, free: set[int], tracks: list[set[int]], settings: WalkthroughSettings, minimum_hits: int
) -> None:
    while True:
        walked = _walked(edges, free, settings)
        found = False
        while paths := [path for hit in free for path in _paths_from(hit, walked, free) if len(path) >= minimum_hits]:
            best = min(paths, key=lambda path: (-len(path), -sum(_steps(edges[pair]) for pair in pairwise(path)), path))
            tracks.append(set(best))
            free -= set(best)
            found = True
        if not found:
            return


def _walked(edges: Edges, free: set[int], settings: WalkthroughSettings) -> set[tuple[int, int]]:
    walked: set[tuple[int, int]] = set()
    for hit in free:
        onwards = [pair for pair in edges if pair[0] == hit and pair[1] in free and edges[pair] >= settings.walk_min]
        walked |= set(sorted(onwards, key=lambda pair: (-_steps(edges[pair]), pair[1]))[:1])
        walked |= {pair for pair in onwards if edges[pair] >= settings.walk_add}
    return walked


def _paths_from(hit: int, walked: set[tuple[int, int]], free: set[int]) -> list[Path]:
    onwards = [receiver for sender, receiver in walked if sender == hit and receiver in free]
    return [(hit,), *((hit, *path) for receiver in onwards for path in _paths_from(receiver, walked, free))]


def _steps(logit: float) -> int:
    return int(np.rint(np.clip(logit, -1024, 1024) * 65536))


def _absorbed(groups: list[set[int]], edges: set[tuple[int, int]]) -> list[set[int]]:
    order = sorted(groups, key=lambda group: (-len(group), min(group)))
    of_hit = {hit: place for place, group in enumerate(order) for hit in group}
    neighbours: dict[int, Counter[int]] = {hit: Counter() for hit in of_hit}
    for sender, receiver in edges:
        neighbours[sender][of_hit[receiver]] += 1
        neighbours[receiver][of_hit[sender]] += 1
    target: dict[int, int] = {}
    for place, group in enumerate(order):
        joined = [other for other in range(place) if len(order[other]) > 1 and all(neighbours[h][other] for h in group)]
        target[place] = min(
            joined, key=lambda other: (-sum(neighbours[hit][other] for hit in group), other), default=place
        )
    merged: dict[int, set[int]] = {}
    for place, group in enumerate(order):
        end = place
        while target[end] != end:
            end = target[end]
        merged.setdefault(end, set()).update(group)
    return list(merged.values())
