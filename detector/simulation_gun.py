"""A particle gun: single particles of one kind from one point, instead of a collision."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ..core import StrictModel

SPECIES: dict[str, tuple[int, float, int]] = {
    "electron": (11, 0.000510999, -1),
    "muon": (13, 0.105658, -1),
    "pion": (211, 0.139570, 1),
    "kaon": (321, 0.493677, 1),
    "proton": (2212, 0.938272, 1),
}
"""PDG id, mass (GeV) and charge (e) of each kind of particle; antiparticles have the opposite id and charge."""


class GunConfig(StrictModel):
    """What the gun shoots.

    Attributes:
        particles: Number of particles.
        species: Kind of particle; each is an antiparticle with probability one half.
        pt_min: Smallest transverse momentum, GeV.
        pt_max: Largest transverse momentum, GeV; its logarithm is uniformly distributed.
    """

    particles: int = Field(default=10, ge=1, le=65_535)
    species: Literal["electron", "muon", "pion", "kaon", "proton"] = "muon"
    pt_min: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    pt_max: float = Field(default=10.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> GunConfig:
        if self.pt_max < self.pt_min:
            raise ValueError("pt_max is below pt_min")
        return self


def shoot(gun: GunConfig, *, eta_max: float, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw the particles of one event, at the origin; eta and phi are uniformly distributed.

    Args:
        gun: What to shoot.
        eta_max: Largest |eta|.
        rng: Source of all random numbers.

    Returns:
        Columns, one entry per particle: `pdg`, `q` (e), `vx`, `vy`, `vz`, `vt` (mm), `px`, `py`, `pz`, `m` (GeV).
    """
    pdg, mass, charge = SPECIES[gun.species]
    sign = rng.choice(np.array([-1, 1]), size=gun.particles)
    pt = np.exp(rng.uniform(np.log(gun.pt_min), np.log(gun.pt_max), size=gun.particles))
    eta = rng.uniform(-eta_max, eta_max, size=gun.particles)
    phi = rng.uniform(-np.pi, np.pi, size=gun.particles)
    zero = np.zeros(gun.particles)
    return {
        "pdg": pdg * sign,
        "q": (charge * sign).astype(float),
        "vx": zero,
        "vy": zero,
        "vz": zero,
        "vt": zero,
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
        "m": np.full(gun.particles, mass),
    }
