"""Inputs of the networks, computed from hits.

Every function takes float32 hit features [hits, 3] = r (mm), phi (rad), z (mm), computes in float64 and returns
float32, so that the result depends on neither the batch nor the number of threads. It is finite for every finite input.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from .geometry import pseudorapidity, wrap_angle
from .pair_columns import PairColumns
from .pairs import (
    PIXEL,
    SATURATION,
    EdgeIndex,
    FeatureArray,
    PairScales,
    pair_ends,
)

PAIR_FEATURES = ("r_i", "z_i", "eta_i", "r_j", "z_j", "eta_j", "dphi", "dr", "dz", "deta", "phi_slope", "z0")
"""Columns of `pair_features`; i is the sender, j the receiver."""

TRACK_FEATURES = PAIR_FEATURES[6:]
"""Columns of `track_features`."""

EdgeInputs = Literal["graph", "track"]
"""Edge features of an interaction network: `edge_features` (published graphs) or `track_features` (the chain)."""

EDGE_INPUT_WIDTHS: dict[EdgeInputs, int] = {"graph": 4, "track": len(TRACK_FEATURES)}
"""Number of edge features by their kind."""


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
    (r_i, phi_i, z_i), (r_j, phi_j, z_j) = pair_ends(features, edge_index)
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
    return PairColumns.of(features, scales).pair_features(edge_index)


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
    return PairColumns.of(features, scales).track_features(edge_index)


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
