"""Coordinates of a collider detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMALLEST_RADIUS = 1e-6
"""Radius (mm, or momentum in GeV) below which a point counts as on the beam line, so that eta stays finite."""


def pseudorapidity(transverse: ArrayLike, longitudinal: ArrayLike) -> NDArray[np.float64]:
    """Pseudorapidity of a direction, eta = asinh(longitudinal / transverse) = -ln tan(theta / 2).

    Args:
        transverse: r, or pT; values below `SMALLEST_RADIUS` count as `SMALLEST_RADIUS`.
        longitudinal: z, or pz, in the same unit.

    Returns:
        float64, finite for every finite input.
    """
    return np.arcsinh(
        np.asarray(longitudinal, np.float64) / np.maximum(np.asarray(transverse, np.float64), SMALLEST_RADIUS)
    )


def wrap_angle(angle: ArrayLike) -> NDArray[np.float64]:
    """Bring angles (rad) into [-pi, pi], in float64."""
    value = np.asarray(angle, np.float64)
    turns = np.round(value / (2 * np.pi))
    return np.clip(value - turns * (2 * np.pi), -np.pi, np.pi)
