"""Inputs of the networks, computed from hits.

Every function takes float32 hit features [hits, 3] = r (mm), phi (rad), z (mm), computes in float64 and returns
float32, so that the result depends on neither the batch nor the number of threads. It is finite for every finite input.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .geometry import pseudorapidity, wrap_angle

FeatureArray = NDArray[np.float32]
EdgeIndex = NDArray[np.int64]

SATURATION = 4.0
"""Pair features and the fine radius are clipped to [-4, 4], the range of a signed fixed point with 3 integer bits."""

SMALLEST_STEP_MM = 1e-3
"""Radial distance below which the slopes of a pair are computed as if it were this, keeping its sign."""

PAIR_FEATURES = ("r_i", "z_i", "eta_i", "r_j", "z_j", "eta_j", "dphi", "dr", "dz", "deta", "phi_slope", "z0")
"""Columns of `pair_features`; i is the sender, j the receiver."""

# Divisors that bring the spread of true pairs (pT > 0.5 GeV, pixel detector, pile-up 200) to about 1;
# 99 % of those pairs are then within +-3 in every column.
RADIUS_MM, HEIGHT_MM, ETA = 100.0, 500.0, 1.5
DPHI_RAD, DR_MM, DZ_MM, DETA, PHI_SLOPE_PER_MM, Z0_MM = 0.02, 25.0, 100.0, 0.05, 3e-4, 10.0


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


def pair_features(features: FeatureArray, edge_index: EdgeIndex) -> FeatureArray:
    """Inputs of the edge filter; independent of a common rotation about the beam.

    Args:
        features: float32 [hits, 3] r (mm), phi (rad), z (mm).
        edge_index: int64 [edges, 2], columns (sender i, receiver j).

    Returns:
        float32 [edges, 12], columns `PAIR_FEATURES`: r / 100 - 1, z / 500 and eta / 1.5 of both ends; dphi, dr, dz,
        deta (receiver minus sender); dphi / dr; and z0, where the straight line through both meets the beam. Scaled so
        that true pairs spread by about 1, clipped to [-4, 4].
    """
    (r_i, phi_i, z_i), (r_j, phi_j, z_j) = _ends(features, edge_index)
    eta_i, eta_j = pseudorapidity(r_i, z_i), pseudorapidity(r_j, z_j)
    dphi, dr, dz = wrap_angle(phi_j - phi_i), r_j - r_i, z_j - z_i
    step = np.where(np.abs(dr) < SMALLEST_STEP_MM, np.copysign(SMALLEST_STEP_MM, dr), dr)
    columns = [
        r_i / RADIUS_MM - 1,
        z_i / HEIGHT_MM,
        eta_i / ETA,
        r_j / RADIUS_MM - 1,
        z_j / HEIGHT_MM,
        eta_j / ETA,
        dphi / DPHI_RAD,
        dr / DR_MM,
        dz / DZ_MM,
        (eta_j - eta_i) / DETA,
        dphi / step / PHI_SLOPE_PER_MM,
        (z_i - r_i * (dz / step)) / Z0_MM,
    ]
    return np.clip(np.stack(columns, axis=1), -SATURATION, SATURATION).astype(np.float32)


def _ends(features: FeatureArray, edge_index: EdgeIndex) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates [3, edges] of the senders and of the receivers."""
    wide = np.ascontiguousarray(features.T, dtype=np.float64)
    return wide[:, edge_index[:, 0]], wide[:, edge_index[:, 1]]
