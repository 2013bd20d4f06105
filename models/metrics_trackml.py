"""The score of the TrackML challenge.

Source: trackml-library, `trackml/score.py` (`score_event`) and `trackml/weights.py` (`weight_hits_phase1`); S. Amrouche
et al., The Tracking Machine Learning Challenge: Accuracy Phase, arXiv:1904.06778.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from ..detector import UNLABELLED, Event
from .metrics_intervals import Floats
from .metrics_matching import SharedHits

# Weights of the hits along a track of nine hits; other lengths interpolate and normalize to a sum of one.
ORDER_WEIGHTS = (10.0, 8.0, 6.0, 5.0, 3.0, 3.0, 3.0, 5.0, 6.0)
ORDER_MINIMUM_HITS = 4
ORDER_MAXIMUM_HITS = 20
# Weight against pT (GeV): none below the first, 0.2 to the second, rising to 1 at the third.
PT_POINTS = (0.05, 0.5, 3.0)
PT_WEIGHTS = (0.2, 0.2, 1.0)


def hit_weights(event: Event) -> Floats:
    """Weights of hits by the recipe of the challenge's first phase: order along the track, and pT.

    The recipe takes the true z of a hit and the number of hits in the particle table; here they are the measured z and
    the number of hits given, so that a selection of hits (the pixel detector) has weights of its own.

    Args:
        event: Hits with complete truth, and particles.

    Returns:
        float64 [hits], sum 1 (all 0 where no particle has four hits); 0 for noise and for particles of fewer than four
        hits.

    Raises:
        DataError: Truth is absent or partial.
    """
    rows = _complete_truth(event)
    assert event.particles is not None
    hits = np.flatnonzero(rows >= 0)
    row = rows[hits]
    counts = np.bincount(row, minlength=len(event.particles))
    distance = np.abs(event.z[hits].astype(np.float64) - event.particles.vz[row].astype(np.float64))
    order = np.lexsort((distance, row))
    place = np.empty(len(hits), dtype=np.int64)
    place[order] = _places(row[order], distance[order])
    along = _order_matrix()[np.minimum(counts[row], ORDER_MAXIMUM_HITS), np.minimum(place, ORDER_MAXIMUM_HITS)]
    hardness = np.interp(event.particles.pt[row].astype(np.float64), PT_POINTS, PT_WEIGHTS, left=0.0)
    weights = np.zeros(len(event))
    weights[hits] = along * hardness
    total = weights.sum()
    return weights / total if total > 0 else weights


def trackml_score(event: Event, labels: NDArray[np.int64], *, weights: NDArray[np.floating] | None = None) -> float:
    """Weight of the hits that are in good tracks and belong to their majority particle.

    A track is good when more than half of its hits come from one particle, and more than half of that particle's hits
    are in it (double majority).

    Args:
        event: Hits with complete truth, and particles.
        labels: int64 [hits], track of each hit, `NO_TRACK` (-1) for none.
        weights: [hits], not negative; the challenge's own, where the truth has them. None computes `hit_weights`.

    Returns:
        0 to 1, the weights of all hits normalized to 1; NaN where every weight is 0.

    Raises:
        DataError: Truth is absent or partial, there is not one label or weight per hit, or a weight is negative or not
            finite.
    """
    _complete_truth(event)
    hits = SharedHits.count(event, labels)
    weight = hit_weights(event) if weights is None else weights.astype(np.float64)
    if weight.shape != (len(event),) or not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError(f"event {event.name}: weights are not one number >= 0 per hit", remedy="give one per hit")
    good = (2 * hits.shared > hits.lengths[hits.track]) & (2 * hits.shared > hits.particle_hits[hits.row])
    # Majorities are strict: a track has at most one good particle, and a particle at most one good track.
    particle = np.full(len(hits.lengths), -1, dtype=np.int64)
    particle[hits.track[good]] = hits.row[good]
    on_track = np.flatnonzero(labels != -1)
    row = event.particle_row[on_track]
    counted = on_track[(row >= 0) & (particle[hits.hit_track] == row)]
    total = float(weight.sum())
    return float(weight[counted].sum() / total) if total > 0 else float("nan")


def _places(row: NDArray[np.int64], distance: Floats) -> NDArray[np.int64]:
    """Place of each hit along its particle, hits sorted by particle and distance; equal distances share the middle."""
    if len(row) == 0:
        return np.zeros(0, dtype=np.int64)
    new_particle = np.append(True, row[1:] != row[:-1])
    new_value = new_particle | np.append(True, distance[1:] != distance[:-1])
    start = np.flatnonzero(new_particle)[np.cumsum(new_particle) - 1]
    first = np.flatnonzero(new_value)
    last = np.append(first[1:], len(row)) - 1
    tie = np.cumsum(new_value) - 1
    return (first[tie] + last[tie]) // 2 - start


def _order_matrix() -> Floats:
    """Weight by number of hits (row) and place (column), 0 beyond the twentieth hit."""
    matrix = np.zeros((ORDER_MAXIMUM_HITS + 1, ORDER_MAXIMUM_HITS + 1))
    for hits in range(ORDER_MINIMUM_HITS, ORDER_MAXIMUM_HITS + 1):
        support = np.arange(len(ORDER_WEIGHTS)) * (hits - 1) / (len(ORDER_WEIGHTS) - 1)
        along = np.interp(np.arange(hits), support, ORDER_WEIGHTS)
        matrix[hits, :hits] = along / along.sum()
    return matrix


def _complete_truth(event: Event) -> NDArray[np.int64]:
    """Particle row of each hit."""
    if event.particle_id is None or event.particles is None or (event.particle_id == UNLABELLED).any():
        raise DataError(
            f"event {event.name} has no complete truth", remedy="the TrackML score needs -truth.csv and -particles.csv"
        )
    return event.particle_row
