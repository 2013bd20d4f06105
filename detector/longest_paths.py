"""Longest paths of a directed acyclic graph, many at once.

Paths are ordered: more hits first, then the larger sum of edge weights, then the lexicographically lower sequence of
hit indices. No two paths are equal in this order, so that taking the best path, removing its hits and repeating has
exactly one outcome. `take_best_paths` computes that outcome without going path by path: a path that is the best of all
paths through each of its own hits is taken by the sequential procedure whatever happens elsewhere, so that all such
paths can be taken in one round. The best path of the whole graph is always one of them, hence the rounds end.

The best path through a hit joins the best path that ends there and the best one that starts there, both found by
dynamic programming over topological levels (Cormen et al., Introduction to Algorithms, 3rd ed., section 24.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError

Ints = NDArray[np.int64]
NONE = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Dag:
    """Edges between nodes 0 .. nodes - 1; each pair of nodes at most once.

    Attributes:
        nodes: Number of nodes.
        sender: int64 [edges].
        receiver: int64 [edges].
        weight: int64 [edges]; integers, so that sums do not depend on their order.
    """

    nodes: int
    sender: Ints
    receiver: Ints
    weight: Ints

    def reverse(self) -> Dag:
        """The graph with every edge turned round."""
        return Dag(nodes=self.nodes, sender=self.receiver, receiver=self.sender, weight=self.weight)

    def keep(self, edges: NDArray[np.bool_]) -> tuple[Dag, Ints]:
        """Keep some edges and the nodes they join.

        Returns:
            The smaller graph, and int64 [its nodes]: which node of this graph each one is.
        """
        sender, receiver = self.sender[edges], self.receiver[edges]
        joined = np.zeros(self.nodes, dtype=np.bool_)
        joined[sender] = joined[receiver] = True
        rows = np.flatnonzero(joined)
        place = np.cumsum(joined) - 1
        smaller = Dag(nodes=len(rows), sender=place[sender], receiver=place[receiver], weight=self.weight[edges])
        return smaller, rows


def topological_levels(dag: Dag) -> Ints:
    """Number of edges of the longest path that ends at each node, int64 [nodes].

    Raises:
        GraphError: The edges have a cycle.
    """
    order = np.argsort(dag.sender, kind="stable")
    receiver = dag.receiver[order]
    first = np.searchsorted(dag.sender[order], np.arange(dag.nodes + 1))
    waiting = np.bincount(dag.receiver, minlength=dag.nodes)
    level = np.zeros(dag.nodes, dtype=np.int64)
    ready = np.flatnonzero(waiting == 0)
    reached, current = len(ready), 0
    while len(ready):
        current += 1
        starts, lengths = first[ready], first[ready + 1] - first[ready]
        places = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        found = receiver[places]
        np.subtract.at(waiting, found, 1)
        ready = np.unique(found[waiting[found] == 0])
        level[ready] = current
        reached += len(ready)
    if reached < dag.nodes:
        raise GraphError(
            f"{dag.nodes - reached} of {dag.nodes} hits lie on or behind a cycle of edges",
            remedy="direct the edges from the inner to the outer hit first (detector.inside_out)",
        )
    return level


def take_best_paths(dag: Dag, minimum_hits: int) -> tuple[Ints, int]:
    """Take the best path, remove its hits, and so on while a path of at least `minimum_hits` hits is left.

    Args:
        dag: The graph; a weight is the figure that decides between paths of the same number of hits.
        minimum_hits: Shorter paths are not taken; at least 2.

    Returns:
        int64 [nodes] number of the path each node is on, -1 for none, and the number of paths. The numbering itself
        carries no meaning.

    Raises:
        GraphError: The edges have a cycle.
    """
    path = np.full(dag.nodes, NONE, dtype=np.int64)
    paths, rows = 0, np.arange(dag.nodes)
    while len(dag.sender):
        behind, ahead = topological_levels(dag), topological_levels(dag.reverse())
        long_enough = behind + ahead + 1 >= minimum_hits
        root = _dominant_paths(dag, behind, ahead)
        root[~long_enough] = NONE
        taken = root >= 0
        _, number = np.unique(root[taken], return_inverse=True)
        path[rows[taken]] = paths + number
        paths += int(number.max(initial=-1)) + 1
        stays = long_enough & ~taken
        dag, kept = dag.keep(stays[dag.sender] & stays[dag.receiver])
        rows = rows[kept]
    return path, paths


def _dominant_paths(dag: Dag, behind: Ints, ahead: Ints) -> Ints:
    """First node of the path each node is on, if that path is the best through each of its nodes; -1 elsewhere."""
    previous = _best_neighbours(dag, behind)
    following = _best_neighbours(dag.reverse(), ahead, lowest_neighbour=True)
    # Nodes that name each other form chains; a chain from a node without senders to one without receivers dominates.
    root = np.where(previous == NONE, np.arange(dag.nodes), NONE)
    order = np.argsort(behind, kind="stable")
    bounds = np.searchsorted(behind[order], np.arange(1, int(behind.max(initial=0)) + 2))
    for low, high in pairwise(bounds):
        nodes = order[low:high]
        before = previous[nodes]
        root[nodes] = np.where(following[before] == nodes, root[before], NONE)
    complete = np.zeros(dag.nodes, dtype=np.bool_)
    ends = root[following == NONE]
    complete[ends[ends >= 0]] = True
    return np.where((root >= 0) & complete[root], root, NONE)


def _best_neighbours(dag: Dag, level: Ints, *, lowest_neighbour: bool = False) -> Ints:
    """Sender through which the best path that ends at each node comes, int64 [nodes], -1 for none.

    Args:
        dag: The graph.
        level: Its topological levels.
        lowest_neighbour: How equally good paths are told apart: by the lowest sender (right for a reversed graph, where
            the sender is the hit that comes next), or by the lexicographic order of the whole path up to the node.
    """
    # Only edges that join neighbouring levels lie on a longest path.
    tight = np.flatnonzero(level[dag.receiver] == level[dag.sender] + 1)
    sender, receiver = dag.sender[tight], dag.receiver[tight]
    order = np.lexsort((sender, receiver, level[receiver]))
    sender, receiver, weight = sender[order], receiver[order], dag.weight[tight][order]
    best = np.full(dag.nodes, NONE, dtype=np.int64)
    total = np.zeros(dag.nodes, dtype=np.int64)
    rank = np.arange(dag.nodes)
    bounds = np.searchsorted(level[receiver], np.arange(1, int(level.max(initial=0)) + 2))
    for low, high in pairwise(bounds):
        senders, receivers = sender[low:high], receiver[low:high]
        starts = np.flatnonzero(np.append(True, receivers[1:] != receivers[:-1]))
        lengths = np.diff(np.append(starts, high - low))
        sums = total[senders] + weight[low:high]
        most = np.maximum.reduceat(sums, starts)
        place = np.where(sums == np.repeat(most, lengths), rank[senders], dag.nodes)
        lowest = np.minimum.reduceat(place, starts)
        nodes = receivers[starts]
        best[nodes] = senders[place == np.repeat(lowest, lengths)]
        total[nodes] = most
        if not lowest_neighbour:
            by_path = nodes[np.lexsort((nodes, lowest))]
            rank[by_path] = np.arange(len(nodes))
    return best
