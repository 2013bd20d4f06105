"""Which edges of an event are true: consecutive hits of one particle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core import DataError, GraphError
from .event import Event


def truth_edges(event: Event, min_pt: float = 0.0, *, min_hits: int = 2) -> NDArray[np.int64]:
    """Join consecutive hits of each particle.

    The hits of a particle are ordered by their distance from its production vertex; neighbours in that order on
    different layers make an edge (two hits on one layer, in overlapping modules, do not).

    Args:
        event: Event with truth and particle table.
        min_pt: Only particles with at least this transverse momentum, GeV.
        min_hits: Only particles with at least this many hits in this event (or selection of it).

    Returns:
        int64 [edges, 2], columns (sender, receiver) = (inner, outer) as `inside_out` orders them, sorted, no repeats.

    Raises:
        DataError: The event has no truth or no particle table.
    """
    if event.particle_id is None or event.particles is None:
        raise DataError(f"event {event.name} has no truth", remedy="give events with -truth.csv and -particles.csv")
    rows = event.particle_row
    hits = np.flatnonzero(rows >= 0)
    particle = rows[hits]
    enough = np.bincount(particle, minlength=len(event.particles))[particle] >= min_hits
    hits = hits[(event.particles.pt[particle] >= min_pt) & enough]
    hits, particle = along_particles(event, hits)
    same_layer = (event.volume_id[hits[1:]] == event.volume_id[hits[:-1]]) & (
        event.layer_id[hits[1:]] == event.layer_id[hits[:-1]]
    )
    joined = (particle[1:] == particle[:-1]) & ~same_layer
    pairs = np.stack([hits[:-1][joined], hits[1:][joined]], axis=1)
    return inside_out(pairs, event.features())


def along_particles(event: Event, hits: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order hits by particle, and along each particle by their distance from its production vertex, then by index.

    Args:
        event: Event with a particle table.
        hits: int64 [hits], indices of hits that have a particle.

    Returns:
        int64 [hits] each: the same indices in that order, and the rows of their particles.
    """
    assert event.particles is not None
    particle, distance = event.particle_row[hits], np.zeros(len(hits))
    for axis in ("x", "y", "z"):
        vertex = getattr(event.particles, f"v{axis}")[particle].astype(np.float64)
        distance += (getattr(event, axis)[hits] - vertex) ** 2
    order = np.lexsort((hits, distance, particle))
    return hits[order], particle[order]


def inside_out(pairs: NDArray[np.int64], features: NDArray[np.float32] | None = None) -> NDArray[np.int64]:
    """Direct each pair from the hit nearer to the origin to the farther one, and sort.

    Args:
        pairs: int64 [pairs, 2] hit indices.
        features: float32 [hits, 3] r (mm), phi (rad), z (mm); None directs from the lower to the higher index.

    Returns:
        int64 [edges, 2], columns (sender, receiver); sorted lexicographically, each pair once, equal distances
        directed by index.

    Raises:
        GraphError: A pair names a hit that does not exist.
    """
    low, high = np.minimum(pairs[:, 0], pairs[:, 1]), np.maximum(pairs[:, 0], pairs[:, 1])
    _check_hits(low, high, None if features is None else len(features))
    if features is None:
        sender, receiver = low, high
    else:
        distance = features[:, 0].astype(np.float64) ** 2 + features[:, 2].astype(np.float64) ** 2
        inward = distance[high] < distance[low]
        sender, receiver = np.where(inward, high, low), np.where(inward, low, high)
    return sort_edges(sender, receiver)


def sort_edges(sender: NDArray[np.int64], receiver: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bring edges into one order: sorted lexicographically by sender and receiver, each once.

    Args:
        sender: int64 [edges], hit indices from 0 to below 2**31.
        receiver: The same.

    Returns:
        int64 [edges, 2].
    """
    # Both in one integer sort as fast as integers do; np.unique hashes first, 25 times slower.
    bits = int(receiver.max(initial=0)).bit_length()
    keys = (sender << bits) | receiver
    keys.sort()
    if len(keys):
        keys = keys[np.append(True, keys[1:] != keys[:-1])]
    edges = np.empty((len(keys), 2), dtype=np.int64)
    np.right_shift(keys, bits, out=edges[:, 0])
    np.bitwise_and(keys, (1 << bits) - 1, out=edges[:, 1])
    return edges


def _check_hits(low: NDArray[np.int64], high: NDArray[np.int64], hits: int | None) -> None:
    limit = 2**31 if hits is None else hits
    if low.min(initial=0) < 0 or high.max(initial=-1) >= limit:
        raise GraphError(
            f"pairs name hits {low.min()} to {high.max()}, there are {limit}",
            remedy="give indices of hits of the event",
        )


def label_edges(edge_index: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell for each edge whether it is a true one, whatever its direction.

    Args:
        edge_index: int64 [edges, 2] hit indices.
        truth: int64 [true edges, 2] hit indices.

    Returns:
        bool [edges].

    Raises:
        GraphError: A negative hit index.
    """
    if min(edge_index.min(initial=0), truth.min(initial=0)) < 0:
        raise GraphError("negative hit index in an edge", remedy="give indices of hits of the event")
    hits = int(max(edge_index.max(initial=0), truth.max(initial=0))) + 1
    keys, wanted = _undirected_keys(edge_index, hits), np.sort(_undirected_keys(truth, hits))
    if len(wanted) == 0:
        return np.zeros(len(keys), dtype=np.bool_)
    return wanted[np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)] == keys


def _undirected_keys(edges: NDArray[np.int64], hits: int) -> NDArray[np.int64]:
    low, high = np.minimum(edges[:, 0], edges[:, 1]), np.maximum(edges[:, 0], edges[:, 1])
    return low.astype(np.int64) * hits + high
