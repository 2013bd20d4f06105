"""Transverse momentum of found tracks: a circle through the beam axis, fitted to each track's hits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .event import Event

FIELD_TESLA = 2.0
GEV_PER_TESLA_MM = 0.299792458e-3
STRAIGHT_PT = 1e3


def track_pt(event: Event, track: NDArray[np.int64], *, tracks: int, field: float = FIELD_TESLA) -> NDArray[np.float64]:
    """Fit a circle through the beam axis to the hits of each track.

    A conformal map, u = x / (x^2 + y^2) and v = y / (x^2 + y^2), turns such circles into lines (Hansroul, Jeremie and
    Savard, NIM A 270 (1988) 498); the line a u + b v = 1/2 has the circle's centre (a, b) for its coefficients. Good
    enough to bin by, not to measure with: scattering, energy loss and the impact parameter are not in it.

    Args:
        event: Hits, mm.
        track: int64 [hits], 0 to `tracks` - 1.
        tracks: Number of tracks.
        field: Solenoidal field, T.

    Returns:
        float64 [tracks], GeV, at most 1000 (a straight line); 0 for a track without a circle.
    """
    x, y = event.x.astype(np.float64), event.y.astype(np.float64)
    square = np.maximum(x * x + y * y, 1e-12)
    u, v = x / square, y / square

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(track, weights=values, minlength=tracks).astype(np.float64)

    # Normal equations of the least squares a u + b v = 1/2.
    uu, uv, vv, su, sv = total(u * u), total(u * v), total(v * v), total(u) / 2, total(v) / 2
    determinant = uu * vv - uv * uv
    scale = uu * vv
    straight = determinant <= 1e-14 * scale
    safe = np.where(straight, 1.0, determinant)
    radius = np.hypot((su * vv - sv * uv) / safe, (sv * uu - su * uv) / safe)
    momentum = np.minimum(radius * field * GEV_PER_TESLA_MM, STRAIGHT_PT)
    return np.where(straight, np.where(scale > 0, STRAIGHT_PT, 0.0), momentum)
