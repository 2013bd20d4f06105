"""Geometric window on pairs of hits: what a track of enough transverse momentum from the beam line can be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core import StrictModel
from .pairs import FeatureArray, pair_geometry


class PairWindow(StrictModel):
    """Cuts on the straight line in (r, z) and the circle in (x, y) that two hits suggest.

    The published FPGA designs build their graphs with these two cuts alone (DeZoort et al., arXiv:2103.16701). Behind a
    learned radius graph they remove about half of the wrong pairs at a cost of a few per mille of the true ones, in
    three multiplications a pair.

    Attributes:
        max_phi_slope: Largest |dphi / dr|, rad/mm. A particle of pT (GeV) from the beam line in 2 T has about
            3e-4 / pT; scattering and short steps widen that.
        max_z0: Largest |z| (mm) at which the line through both hits meets the beam axis.
    """

    max_phi_slope: float = Field(default=6e-4, gt=0, allow_inf_nan=False)
    max_z0: float = Field(default=50.0, gt=0, allow_inf_nan=False)

    def keeps(self, features: FeatureArray, edge_index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which pairs are within the window.

        Args:
            features: float32 [hits, 3] r (mm), phi (rad), z (mm).
            edge_index: int64 [pairs, 2] hit indices, in either direction.

        Returns:
            bool [pairs]. Two hits on one cylinder or one disk are outside: no track from the beam line joins them.
        """
        pair = pair_geometry(features, edge_index)
        return (np.abs(pair.phi_slope) <= self.max_phi_slope) & (np.abs(pair.z0) <= self.max_z0)
