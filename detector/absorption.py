"""Absorption: a track all of whose hits are joined with a longer track becomes part of it.

Modules of one layer overlap, so that a particle leaves two hits on the layer. Both are joined to the layers before and
after and neither to the other. A path takes one of the two. The other one is left over, or, where several layers in a
row overlap, makes a second path beside the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .track_builder import NO_TRACK, number_tracks

Ints = NDArray[np.int64]


def absorb_tracks(labels: Ints, sender: Ints, receiver: Ints) -> Ints:
    """Let tracks absorb shorter tracks and single hits beside them.

    A track (a hit without track counts as one of a single hit) is absorbed by a longer one, of two hits or more, if
    each of its hits has an edge with it, in either direction. Longer means more hits, or as many and a lower lowest hit
    index. If several qualify, the one with the most edges absorbs it (then the longer). All of this is decided on the
    tracks as given, at once; a track that absorbs and is absorbed takes along what it absorbed.

    Args:
        labels: int64 [hits], any number >= 0 for a track, `NO_TRACK` (-1) for none.
        sender: int64 [edges], edges good enough to absorb over; each pair of hits once.
        receiver: int64 [edges].

    Returns:
        int64 [hits], new labels; those of single hits that remain are `NO_TRACK`.
    """
    groups = number_tracks(labels, 1)
    free = groups == NO_TRACK
    groups[free] = int(groups.max(initial=NO_TRACK)) + 1 + np.arange(np.count_nonzero(free))
    sizes = np.bincount(groups, minlength=1)
    # Length order: place 0 is the longest; groups of one size keep the order of their lowest hits.
    place = np.empty(len(sizes), dtype=np.int64)
    place[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    place, sizes = place[groups], -np.sort(-sizes)
    target = _targets(place, sizes, sender, receiver)
    while not np.array_equal(target[target], target):
        target = target[target]
    merged = target[place]
    return number_tracks(merged, 2)


def _targets(place: Ints, sizes: Ints, sender: Ints, receiver: Ints) -> Ints:
    """Group that absorbs each group, itself where none does; groups by place in the order of length."""
    first, second = place[sender], place[receiver]
    across = first != second
    hit = np.where(first > second, sender, receiver)[across]
    shorter, longer = np.maximum(first, second)[across], np.minimum(first, second)[across]
    pairs, pair, edges = np.unique(shorter * len(sizes) + longer, return_inverse=True, return_counts=True)
    hits = max(len(place), 1)
    joined = np.bincount(np.unique(pair * hits + hit) // hits, minlength=len(pairs))
    shorter, longer = np.divmod(pairs, len(sizes))
    qualified = np.flatnonzero((joined == sizes[shorter]) & (sizes[longer] >= 2))
    shorter, longer, edges = shorter[qualified], longer[qualified], edges[qualified]
    order = np.lexsort((longer, -edges, shorter))
    absorbed, best = np.unique(shorter[order], return_index=True)
    target = np.arange(len(sizes))
    target[absorbed] = longer[order[best]]
    return target
