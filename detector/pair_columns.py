"""Features of pairs of hits for any number of pairs at a time, from columns computed once per event.

The compiled kernel and NumPy do the same operations in the same order and give the same bits.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compiled import available_threads, check_status, compiled_stages, pointer, raise_bad_index
from .geometry import pseudorapidity
from .pairs import PIXEL, SATURATION, EdgeIndex, FeatureArray, PairScales, pair_geometry

TRACK_WIDTH = 6


def pair_divisors(scales: PairScales) -> NDArray[np.float64]:
    """Divisors of dphi, dr, dz, deta, dphi / dr and z0, float64 [6]."""
    return np.array([scales.dphi_rad, scales.dr_mm, scales.dz_mm, scales.deta, scales.phi_slope_per_mm, scales.z0_mm])


@dataclass(frozen=True, kw_only=True, eq=False)
class PairColumns:
    """What the features of pairs need of each hit of an event.

    Attributes:
        hits: float64 [hits, 4] r (mm), phi (rad), z (mm), eta.
        ends: float32 [hits, 3] r, z and eta, scaled and clipped.
        divisors: float64 [6] of dphi, dr, dz, deta, dphi / dr and z0.
        threads: Threads of the compiled kernel; the features do not depend on it.
    """

    hits: NDArray[np.float64]
    ends: NDArray[np.float32]
    divisors: NDArray[np.float64]
    threads: int

    @classmethod
    def of(cls, features: FeatureArray, scales: PairScales = PIXEL, *, threads: int | None = None) -> PairColumns:
        """Compute the columns of an event.

        Args:
            features: float32 [hits, 3] r (mm), phi (rad), z (mm).
            scales: Divisors.
            threads: Threads of the compiled kernel; None takes all cores this process may use.
        """
        r, phi, z = features.astype(np.float64).T
        eta = pseudorapidity(r, z)
        ends = (r / scales.radius_mm - scales.radius_shift, z / scales.height_mm, eta / scales.eta)
        return cls(
            hits=np.stack([r, phi, z, eta], axis=1),
            ends=np.clip(np.stack(ends, axis=1), -SATURATION, SATURATION).astype(np.float32),
            divisors=pair_divisors(scales),
            threads=threads or available_threads(),
        )

    def pair_features(self, edge_index: EdgeIndex) -> FeatureArray:
        """Inputs of the edge filter, float32 [edges, 12]; see `features.pair_features`.

        Raises:
            GraphError: An edge leads out of the event.
        """
        return self._rows(edge_index, self.ends)

    def track_features(self, edge_index: EdgeIndex) -> FeatureArray:
        """Edge features of the interaction network, float32 [edges, 6]; see `features.track_features`.

        Raises:
            GraphError: An edge leads out of the event.
        """
        return self._rows(edge_index, self.ends[:, :0])

    def _rows(self, edge_index: EdgeIndex, ends: NDArray[np.float32]) -> FeatureArray:
        edges = np.ascontiguousarray(edge_index, dtype=np.int64)
        rows = np.empty((len(edges), 2 * ends.shape[1] + TRACK_WIDTH), dtype=np.float32)
        library = compiled_stages()
        if library is None:
            self.fill(edges, ends, rows)
            return rows
        sizes = (len(self.hits), ends.shape[1])
        status = library.hitfabric_pair_features(
            pointer(self.hits),
            pointer(ends),
            *map(ctypes.c_int64, sizes),
            pointer(edges),
            ctypes.c_int64(len(edges)),
            pointer(self.divisors),
            pointer(rows),
            ctypes.c_int(self.threads),
        )
        check_status(status, sizes=sizes)
        return rows

    def fill(self, edges: EdgeIndex, ends: NDArray[np.float32], rows: FeatureArray) -> None:
        """Compute features in NumPy, as is done without a compiler.

        Args:
            edges: int64 [edges, 2].
            ends: float32 [hits, columns], copied for the sender, then for the receiver.
            rows: float32 [edges, 2 columns + 6], written.

        Raises:
            GraphError: An edge leads out of the event.
        """
        if len(edges) and (edges.min() < 0 or edges.max() >= len(self.hits)):
            raise_bad_index(len(self.hits))
        sender, receiver = edges[:, 0], edges[:, 1]
        width = ends.shape[1]
        rows[:, :width], rows[:, width : 2 * width] = ends[sender], ends[receiver]
        pair = pair_geometry(self.hits[:, :3], edges)
        deta = self.hits[receiver, 3] - self.hits[sender, 3]
        columns = (pair.dphi, pair.dr, pair.dz, deta, pair.phi_slope, pair.z0)
        for column, (values, divisor) in enumerate(zip(columns, self.divisors, strict=True), start=2 * width):
            rows[:, column] = np.clip(values / divisor, -SATURATION, SATURATION)
