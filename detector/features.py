"""Inputs of the networks, computed from hits.

Every function takes float32 hit features [hits, 3] = r (mm), phi (rad), z (mm), computes in float64 and returns
float32, so that the result depends on neither the batch nor the number of threads. It is finite for every finite input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import StrictModel
from .geometry import pseudorapidity, wrap_angle

FeatureArray = NDArray[np.float32]
EdgeIndex = NDArray[np.int64]

SATURATION = 4.0
"""Pair features and the fine radius are clipped to [-4, 4], the range of a signed fixed point with 3 integer bits."""

SMALLEST_STEP_MM = 1e-3
"""Radial distance below which the slopes of a pair are computed as if it were this, keeping its sign."""

PAIR_FEATURES = ("r_i", "z_i", "eta_i", "r_j", "z_j", "eta_j", "dphi", "dr", "dz", "deta", "phi_slope", "z0")
"""Columns of `pair_features`; i is the sender, j the receiver."""

TRACK_FEATURES = PAIR_FEATURES[6:]
"""Columns of `track_features`."""

EdgeInputs = Literal["graph", "track"]
"""Edge features of an interaction network: `edge_features` (published graphs) or `track_features` (the chain)."""

EDGE_INPUT_WIDTHS: dict[EdgeInputs, int] = {"graph": 4, "track": len(TRACK_FEATURES)}
"""Number of edge features by their kind."""


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


def pair_geometry(features: FeatureArray, edge_index: EdgeIndex) -> PairGeometry:
    """Differences and slopes of pairs of hits.

    Args:
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).
        edge_index: int64 [pairs, 2], columns (sender, receiver).
    """
    (r_i, phi_i, z_i), (r_j, phi_j, z_j) = _ends(features, edge_index)
    dphi, dr, dz = wrap_angle(phi_j - phi_i), r_j - r_i, z_j - z_i
    step = np.where(np.abs(dr) < SMALLEST_STEP_MM, np.copysign(SMALLEST_STEP_MM, dr), dr)
    return PairGeometry(dphi=dphi, dr=dr, dz=dz, phi_slope=dphi / step, z0=z_i - r_i * (dz / step))


def node_features(features: FeatureArray) -> FeatureArray:
    """Node features of the interaction network, as in the TrackML graphs of Elabd et al. (arXiv:2112.02048).

    Args:
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).

    Returns:
        float32 [hits, 3]: r / 1000, phi / pi, z / 1000.
    """
    return (features.astype(np.float64) / np.array([1000.0, np.pi, 1000.0])).astype(np.float32)


def embedding_features(features: FeatureArray) -> FeatureArray:
    """Inputs of the embedding network.

    Args:
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).

    Returns:
        float32 [hits, 6]: r / 1000, cos phi, sin phi, z / 1000, eta / 4, and r / 50 - 2 clipped to [-4, 4], which
        separates the pixel barrel layers. All within [-4, 4] in a detector of 4 m radius and 8 m length.
    """
    r, phi, z = features.astype(np.float64).T
    fine_radius = np.clip(r / 50 - 2, -SATURATION, SATURATION)
    eta = pseudorapidity(r, z)
    return np.stack([r / 1000, np.cos(phi), np.sin(phi), z / 1000, eta / 4, fine_radius], axis=1).astype(np.float32)


def edge_features(features: FeatureArray, edge_index: EdgeIndex) -> FeatureArray:
    """Edge features of the interaction network: `edge_attr` of the TrackML graphs of Elabd et al. (arXiv:2112.02048).

    Args:
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).
        edge_index: int64 [edges, 2], columns (sender, receiver).

    Returns:
        float32 [edges, 4], receiver minus sender: dr / 1000, dphi / pi (wrapped into [-1, 1]), dz / 1000, and
        dR = sqrt(deta^2 + dphi^2) with dphi in rad.
    """
    (r_i, phi_i, z_i), (r_j, phi_j, z_j) = _ends(features, edge_index)
    dphi = wrap_angle(phi_j - phi_i)
    deta = pseudorapidity(r_j, z_j) - pseudorapidity(r_i, z_i)
    columns = [(r_j - r_i) / 1000, dphi / np.pi, (z_j - z_i) / 1000, np.hypot(deta, dphi)]
    return np.stack(columns, axis=1).astype(np.float32)


def pair_features(features: FeatureArray, edge_index: EdgeIndex, scales: PairScales = PIXEL) -> FeatureArray:
    """Inputs of the edge filter; independent of a common rotation about the beam.

    Args:
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).
        edge_index: int64 [edges, 2], columns (sender i, receiver j).
        scales: Divisors.

    Returns:
        float32 [edges, 12], columns `PAIR_FEATURES`: r, z and eta of both ends; dphi, dr, dz, deta (receiver minus
        sender); dphi / dr; and z0, where the straight line through both meets the beam. Scaled so that true pairs
        spread by about 1, clipped to [-4, 4].
    """
    (r_i, _, z_i), (r_j, _, z_j) = _ends(features, edge_index)
    ends = []
    for r, z in ((r_i, z_i), (r_j, z_j)):
        ends += [
            r / scales.radius_mm - scales.radius_shift,
            z / scales.height_mm,
            pseudorapidity(r, z) / scales.eta,
        ]
    return _clipped([*ends, *_track_columns(features, edge_index, scales)])


def track_features(features: FeatureArray, edge_index: EdgeIndex, scales: PairScales = PIXEL) -> FeatureArray:
    """Edge features of the chain's interaction network: what the edges of one track have in common, and their steps.

    Consecutive edges of a track agree in phi slope (curvature) and z0 (origin). A small network can compare two
    numbers, but not divide, so that the quotients are given to it.

    Args:
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).
        edge_index: int64 [edges, 2], columns (sender, receiver).
        scales: Divisors.

    Returns:
        float32 [edges, 6], columns `TRACK_FEATURES`: the last six of `pair_features`.
    """
    return _clipped(_track_columns(features, edge_index, scales))


def interaction_features(
    features: FeatureArray, edge_index: EdgeIndex, *, kind: EdgeInputs = "graph", scales: PairScales = PIXEL
) -> tuple[FeatureArray, FeatureArray]:
    """Node and edge features of the interaction network of the chain.

    Args:
        features: float32 [hits, 3] r (mm), phi (rad), z (mm) of the nodes.
        edge_index: int64 [edges, 2], columns (sender, receiver).
        kind: Edge features.
        scales: Divisors of `track`.

    Returns:
        float32 [hits, 3] (`node_features`) and float32 [edges, 4] (`graph`) or [edges, 6] (`track`).
    """
    if kind == "graph":
        return node_features(features), edge_features(features, edge_index)
    return node_features(features), track_features(features, edge_index, scales)


def _track_columns(features: FeatureArray, edge_index: EdgeIndex, scales: PairScales) -> list[NDArray[np.float64]]:
    pair = pair_geometry(features, edge_index)
    (r_i, _, z_i), (r_j, _, z_j) = _ends(features, edge_index)
    return [
        pair.dphi / scales.dphi_rad,
        pair.dr / scales.dr_mm,
        pair.dz / scales.dz_mm,
        (pseudorapidity(r_j, z_j) - pseudorapidity(r_i, z_i)) / scales.deta,
        pair.phi_slope / scales.phi_slope_per_mm,
        pair.z0 / scales.z0_mm,
    ]


def _clipped(columns: list[NDArray[np.float64]]) -> FeatureArray:
    return np.clip(np.stack(columns, axis=1), -SATURATION, SATURATION).astype(np.float32)


def _ends(features: FeatureArray, edge_index: EdgeIndex) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates [3, edges] of the senders and of the receivers."""
    wide = np.ascontiguousarray(features.T, dtype=np.float64)
    return wide[:, edge_index[:, 0]], wide[:, edge_index[:, 1]]
