"""Graphs with logits for the tests of track building."""

from __future__ import annotations

import numpy as np

Graph = tuple[np.ndarray, np.ndarray, int]
"""int64 [edges, 2], logits [edges], number of hits."""

# Logits beside thresholds, beyond the limit of a sum, and within one step of a sum of each other.
LOGITS = [-2.0, -1.0, 0.0, -0.0, 0.1, 0.1 + 2.0**-20, 0.5, 1.0, 1.0 + 2.0**-20, 1500.0, 2000.0, -3000.0]


def acyclic(seed: int, hits: int, edges: int, reach: float, ties: bool, kind: type = np.float32) -> Graph:
    """A random graph whose edges join hits at most a share `reach` of the event apart, some of them repeated."""
    generator = np.random.default_rng(seed)
    first = generator.integers(0, hits, edges)
    last = first + generator.integers(1, max(int(reach * hits), 1) + 1, edges)
    pairs = np.stack([first, last], axis=1)[last < hits]
    pairs = np.concatenate([pairs, pairs[: len(pairs) // 10]])
    logits = generator.choice(LOGITS, len(pairs)) if ties else generator.normal(0, 2, len(pairs))
    return generator.permutation(hits)[pairs].astype(np.int64), logits.astype(kind), hits


def ladder(layers: int, width: int) -> np.ndarray:
    """Every hit of a layer joined with every hit of the next."""
    hits = np.arange(layers * width).reshape(layers, width)
    return np.stack([np.repeat(hits[:-1], width, axis=1), np.tile(hits[1:], (1, width))], axis=-1).reshape(-1, 2)


def star(arms: int, length: int) -> np.ndarray:
    """Chains that start at one hit, hit 0."""
    hits = 1 + np.arange(arms * length).reshape(arms, length)
    steps = np.stack([hits[:, :-1], hits[:, 1:]], axis=-1).reshape(-1, 2)
    return np.concatenate([np.stack([np.zeros(arms, np.int64), hits[:, 0]], axis=1), steps])


def falling_chains(count: int) -> np.ndarray:
    """Chains of falling length, each entered from every one of the first hits: taking one changes the best of all."""
    edges, start = [], count
    for length in range(2 * count, count, -1):
        chain = np.arange(start, start + length)
        start += length
        edges += [np.stack([chain[:-1], chain[1:]], axis=1)]
        edges += [np.stack([np.arange(count), np.full(count, chain[0])], axis=1)]
    return np.concatenate(edges)
