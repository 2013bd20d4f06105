"""Walkthrough: tracks are the longest paths through the accepted edges."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ..core import GraphError, StrictModel
from .absorption import absorb_tracks
from .compiled_tracks import compiled_walk
from .longest_paths import Dag, take_best_paths
from .track_builder import NO_TRACK, component_of_node, number_tracks

LOGIT_STEPS = 2**16
"""Sums of logits are compared in steps of 1 / LOGIT_STEPS, as integers, so that no rounding depends on an order."""

LOGIT_LIMIT = 1024.0
"""Logits beyond this magnitude count as this much in a sum."""

Ints = NDArray[np.int64]


class WalkthroughSettings(StrictModel):
    """Thresholds of the walkthrough, in logits; a probability p is ln(p / (1 - p)).

    Attributes:
        component_threshold: Smallest logit of an edge that counts at all.
        walk_min: Smallest logit of a hit's best edge outwards that a walk follows.
        walk_add: Smallest logit of further edges that a walk follows besides the best; at least `walk_min`.
        minimum_hits: Fewest hits of a track.
        absorb: Whether tracks absorb the shorter tracks and left-over hits beside them, such as the second of two hits
            in overlapping modules of one layer (see `absorb_tracks`).
    """

    component_threshold: float = Field(default=-4.6, allow_inf_nan=False)
    walk_min: float = Field(default=-2.2, allow_inf_nan=False)
    walk_add: float = Field(default=0.4, allow_inf_nan=False)
    minimum_hits: int = Field(default=3, ge=2)
    absorb: bool = True

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_walk(self.walk_min, self.walk_add, self.minimum_hits)
        return self


def check_walk(walk_min: float, walk_add: float, minimum_hits: int) -> None:
    """Check that settings of the walkthrough fit each other, for the models that carry them.

    Raises:
        ValueError: They do not.
    """
    if walk_add < walk_min:
        raise ValueError(f"walk_add {walk_add} is below walk_min {walk_min}")
    if minimum_hits < 2:
        raise ValueError(f"a walk has two hits or more, minimum_hits is {minimum_hits}")


def walk_tracks(
    edge_index: Ints, logits: NDArray[np.floating], hits: int, *, settings: WalkthroughSettings | None = None
) -> Ints:
    """Build tracks from simple components and longest paths.

    1. Edges below `component_threshold` are dropped.
    2. A connected component in which no hit has two edges inwards or two outwards is a path, and a track.
    3. In the other components a sweep walks from hit to hit, outwards along the edges with logit >= `walk_add` and
       along each hit's best edge to a hit without track (largest logit, then lowest hit) if its logit is >= `walk_min`.
       The best path (most hits, then largest sum of logits, then lowest sequence of hit indices) becomes a track, its
       hits are removed, and so on until no path of `minimum_hits` is left. As hits are then without their best edge,
       sweeps are repeated until one finds nothing.
    4. If `absorb` is set, further sweeps collect paths of two hits or more, and tracks absorb the shorter tracks and
       single hits that are joined with them by edges with logit >= `walk_min` (see `absorb_tracks`).

    Args:
        edge_index: int64 [edges, 2] hit indices, directed from inner to outer hit (see `inside_out`); of a pair given
            twice the larger logit counts.
        logits: float [edges], finite.
        hits: Number of hits.
        settings: Thresholds; None takes the defaults.

    Returns:
        int64 [hits]: label 0, 1, ... in the order of each track's lowest hit index, `NO_TRACK` (-1) elsewhere.

    Raises:
        GraphError: Not one finite logit per edge, an edge that leads out of the event, or a cycle of edges.

    Source: ACORN (Exa.TrkX / GNN4ITk), stage track_building, `cc_and_walk`. ACORN walks from each hit in turn, in one
    topological order (not a unique one), takes the longest path from it (the last of equals), and so lets a short walk
    of an early hit break up a longer one; here the longest path of all comes first. ACORN follows logits above the
    thresholds, here at or above. ACORN makes tracks of two hits and absorbs nothing.
    """
    cuts = settings or WalkthroughSettings()
    if edge_index.ndim != 2 or edge_index.shape[1] != 2 or logits.shape != (len(edge_index),):
        raise GraphError(
            f"edge_index has shape {list(edge_index.shape)} and logits {list(logits.shape)}",
            remedy="give edge_index [edges, 2] and one logit per edge",
        )

    def by_numpy() -> Ints:
        return numpy_walk(edge_index, logits, hits, cuts)

    labels = compiled_walk(
        edge_index,
        logits,
        hits,
        thresholds=(cuts.component_threshold, cuts.walk_min, cuts.walk_add),
        minimum_hits=cuts.minimum_hits,
        absorb=cuts.absorb,
        refuse=by_numpy,
    )
    return by_numpy() if labels is None else labels


def numpy_walk(edge_index: Ints, logits: NDArray[np.floating], hits: int, settings: WalkthroughSettings) -> Ints:
    """`walk_tracks` in NumPy and SciPy, as is done without a compiler."""
    dag, logits = _accepted(edge_index, logits, hits, settings.component_threshold)
    labels = _simple_paths(dag)
    branching = labels[dag.sender] == NO_TRACK
    part, rows = dag.keep(branching)
    certain = logits[branching] >= settings.walk_add
    follow = np.flatnonzero(logits[branching] >= settings.walk_min)
    follow = follow[np.lexsort((part.receiver[follow], -part.weight[follow], part.sender[follow]))]
    found = np.full(part.nodes, NO_TRACK, dtype=np.int64)
    _sweep(part, follow, certain, found, settings.minimum_hits)
    if settings.absorb:
        _sweep(part, follow, certain, found, 2)
        found = absorb_tracks(found, part.sender[follow], part.receiver[follow])
    labels[rows] = np.where(found == NO_TRACK, NO_TRACK, found + int(labels.max(initial=NO_TRACK)) + 1)
    return number_tracks(labels, settings.minimum_hits)


def _accepted(
    edge_index: Ints, logits: NDArray[np.floating], hits: int, threshold: float
) -> tuple[Dag, NDArray[np.floating]]:
    """Edges at or above the threshold, each pair once, and their logits; checks values and indices."""
    if not np.isfinite(logits).all():
        row = int(np.flatnonzero(~np.isfinite(logits))[0])
        raise GraphError(f"the logit of edge {row} is {logits[row]}", remedy="check the network that scored the edges")
    if len(edge_index) and (edge_index.min() < 0 or edge_index.max() >= hits):
        raise GraphError(
            f"edge indices span {edge_index.min()} to {edge_index.max()}, the event has {hits} hits",
            remedy="give edges between hits of the event",
        )
    kept = np.flatnonzero(logits >= threshold)
    keys = edge_index[kept, 0] * np.int64(hits) + edge_index[kept, 1]
    if not (keys[1:] > keys[:-1]).all():  # the chain's edges are sorted, each pair once
        kept = kept[np.lexsort((-logits[kept], keys))]
    sender, receiver = edge_index[kept, 0], edge_index[kept, 1]
    first = np.ones(len(kept), dtype=np.bool_)
    first[1:] = (sender[1:] != sender[:-1]) | (receiver[1:] != receiver[:-1])
    logits = logits[kept[first]]
    steps = np.rint(np.clip(logits.astype(np.float64), -LOGIT_LIMIT, LOGIT_LIMIT) * LOGIT_STEPS).astype(np.int64)
    return Dag(nodes=hits, sender=sender[first], receiver=receiver[first], weight=steps), logits


def _simple_paths(dag: Dag) -> Ints:
    """Number of the component of each hit whose component is a path (or the hit alone), `NO_TRACK` elsewhere."""
    component = component_of_node(np.stack([dag.sender, dag.receiver], axis=1), dag.nodes)
    branching = np.maximum(_count(dag.sender, dag.nodes), _count(dag.receiver, dag.nodes)) > 1
    simple = np.ones(int(component.max(initial=-1)) + 1, dtype=np.bool_)
    simple[component[branching]] = False
    closed = _count(component[dag.sender], len(simple)) >= _count(component, len(simple))
    if (simple & closed).any():
        raise GraphError(
            f"{int(closed[component].sum())} hits lie on a cycle of edges",
            remedy="direct the edges from the inner to the outer hit first (detector.inside_out)",
        )
    return np.where(simple[component], component, NO_TRACK)


def _count(values: Ints, length: int) -> Ints:
    return np.bincount(values, minlength=length)


def _sweep(dag: Dag, follow: Ints, certain: NDArray[np.bool_], labels: Ints, minimum_hits: int) -> None:
    """Sweep until nothing is found; writes new labels.

    Args:
        dag: Edges of the components that branch.
        follow: int64, edges a walk follows if they are the best of their sender; those of one sender together, the best
            first.
        certain: bool [edges], edges a walk follows in any case.
        labels: int64 [hits of these components], changed.
        minimum_hits: Fewest hits of a path.
    """
    while True:
        free = labels == NO_TRACK
        edges = follow[free[dag.sender[follow]] & free[dag.receiver[follow]]]
        best = np.ones(len(edges), dtype=np.bool_)
        best[1:] = np.diff(dag.sender[edges]) != 0
        walked = np.zeros(len(dag.sender), dtype=np.bool_)
        walked[edges] = best | certain[edges]
        graph, rows = dag.keep(walked)
        path, paths = take_best_paths(graph, minimum_hits)
        if paths == 0:
            return
        on_path = path >= 0
        labels[rows[on_path]] = int(labels.max(initial=NO_TRACK)) + 1 + path[on_path]
