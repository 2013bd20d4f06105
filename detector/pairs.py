"""Pairs of hits: what two hits suggest of a track, and the scales that bring it to about 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import StrictModel
from .geometry import wrap_angle

FeatureArray = NDArray[np.float32]
EdgeIndex = NDArray[np.int64]

SATURATION = 4.0
"""Pair features and the fine radius are clipped to [-4, 4], the range of a signed fixed point with 3 integer bits."""

SMALLEST_STEP_MM = 1e-3
"""Radial distance below which the slopes of a pair are computed as if it were this, keeping its sign."""


class PairScales(StrictModel):
    """Divisors that bring the spread of true pairs to about 1, so that 99 % of them are within +-3 in every column.

    The defaults are for pixel hits (pT > 0.5 GeV, pile-up 200); `ALL_LAYERS` is for the whole Generic detector.

    Attributes:
        radius_mm: Divisor of r.
        radius_shift: Subtracted from r / radius_mm.
        height_mm: Divisor of z.
        eta: Divisor of the pseudorapidity of a hit.
        dphi_rad: Divisor of dphi.
        dr_mm: Divisor of dr.
        dz_mm: Divisor of dz.
        deta: Divisor of deta.
        phi_slope_per_mm: Divisor of dphi / dr.
        z0_mm: Divisor of z0.
    """

    radius_mm: float = Field(default=100.0, gt=0)
    radius_shift: float = 1.0
    height_mm: float = Field(default=500.0, gt=0)
    eta: float = Field(default=1.5, gt=0)
    dphi_rad: float = Field(default=0.02, gt=0)
    dr_mm: float = Field(default=25.0, gt=0)
    dz_mm: float = Field(default=100.0, gt=0)
    deta: float = Field(default=0.05, gt=0)
    phi_slope_per_mm: float = Field(default=3e-4, gt=0)
    z0_mm: float = Field(default=10.0, gt=0)


PIXEL = PairScales()
ALL_LAYERS = PairScales(
    radius_mm=250.0, radius_shift=2.0, height_mm=1000.0, dphi_rad=0.03, dr_mm=70.0, dz_mm=250.0, z0_mm=30.0
)


@dataclass(frozen=True, kw_only=True, eq=False)
class PairGeometry:
    """What two hits suggest of a track; float64 [pairs] each, receiver minus sender.

    Attributes:
        dphi: rad, in [-pi, pi].
        dr: mm.
        dz: mm.
        phi_slope: dphi / dr, rad/mm.
        z0: Where the straight line through both meets the beam axis, mm.
    """

    dphi: NDArray[np.float64]
    dr: NDArray[np.float64]
    dz: NDArray[np.float64]
    phi_slope: NDArray[np.float64]
    z0: NDArray[np.float64]


def pair_geometry(features: NDArray[np.floating], edge_index: EdgeIndex) -> PairGeometry:
    """Differences and slopes of pairs of hits.

    Args:
        features: float [hits, 3] r (mm), phi (rad), z (mm).
        edge_index: int64 [pairs, 2], columns (sender, receiver).
    """
    (r_i, phi_i, z_i), (r_j, phi_j, z_j) = pair_ends(features, edge_index)
    dphi, dr, dz = wrap_angle(phi_j - phi_i), r_j - r_i, z_j - z_i
    step = np.where(np.abs(dr) < SMALLEST_STEP_MM, np.copysign(SMALLEST_STEP_MM, dr), dr)
    return PairGeometry(dphi=dphi, dr=dr, dz=dz, phi_slope=dphi / step, z0=z_i - r_i * (dz / step))


def pair_ends(features: NDArray[np.floating], edge_index: EdgeIndex) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of both ends of pairs.

    Args:
        features: float [hits, 3] r (mm), phi (rad), z (mm).
        edge_index: int64 [pairs, 2], columns (sender, receiver).

    Returns:
        float64 [3, pairs] of the senders and of the receivers.
    """
    wide = np.ascontiguousarray(features.T, dtype=np.float64)
    return wide[:, edge_index[:, 0]], wide[:, edge_index[:, 1]]
