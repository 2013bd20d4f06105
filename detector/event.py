"""One collision event: hits, and truth where it is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core import DataError
from .geometry import Detector, pseudorapidity

NOISE = 0
"""Particle id of a hit that no particle made."""

UNLABELLED = -1
"""Particle id of a hit whose origin is not known: neither a true nor a fake hit."""

PIXEL_VOLUMES = (7, 8, 9)
"""Volume ids of the pixel detector (negative endcap, barrel, positive endcap) in the TrackML / Generic detector."""

HIT_COLUMNS: Mapping[str, DTypeLike] = {
    "hit_id": np.int64,
    **dict.fromkeys(("x", "y", "z"), np.float32),
    **dict.fromkeys(("volume_id", "layer_id", "module_id"), np.int32),
}
"""Columns of a table of hits, by the names of `Event`."""

PARTICLE_COLUMNS: Mapping[str, DTypeLike] = {
    "particle_id": np.int64,
    **dict.fromkeys(("vx", "vy", "vz", "px", "py", "pz"), np.float32),
    "q": np.int32,
    "nhits": np.int32,
}
"""Columns of a table of particles, by the names of `Particles`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Particles:
    """Table of generated particles; every array has one entry per particle.

    Attributes:
        particle_id: int64, unique, not 0.
        vx: Production vertex, float32, mm (also `vy`, `vz`).
        px: Momentum at production, float32, GeV (also `py`, `pz`).
        q: Charge in units of e, int32.
        nhits: Number of hits the particle left in the whole detector, int32.
    """

    particle_id: NDArray[np.int64]
    vx: NDArray[np.float32]
    vy: NDArray[np.float32]
    vz: NDArray[np.float32]
    px: NDArray[np.float32]
    py: NDArray[np.float32]
    pz: NDArray[np.float32]
    q: NDArray[np.int32]
    nhits: NDArray[np.int32]

    def __post_init__(self) -> None:
        _check_columns(self, PARTICLE_COLUMNS, len(self.particle_id), "particles table")

    def __len__(self) -> int:
        return len(self.particle_id)

    @cached_property
    def pt(self) -> NDArray[np.float32]:
        """Transverse momentum, GeV."""
        return np.hypot(self.px, self.py)

    @cached_property
    def eta(self) -> NDArray[np.float32]:
        """Pseudorapidity of the momentum."""
        return pseudorapidity(self.pt, self.pz).astype(np.float32)

    @cached_property
    def phi(self) -> NDArray[np.float32]:
        """Azimuth of the momentum, rad, in [-pi, pi]."""
        return np.arctan2(self.py, self.px)

    def rows_of(self, particle_id: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row of each particle id in this table, -1 where it is not listed.

        Args:
            particle_id: int64 ids, any shape.

        Returns:
            int64 rows, same shape.
        """
        if len(self) == 0:
            return np.full(particle_id.shape, -1, dtype=np.int64)
        order = np.argsort(self.particle_id, kind="stable")
        place = np.searchsorted(self.particle_id, particle_id, sorter=order)
        rows = order[np.minimum(place, len(self) - 1)]
        return np.where(self.particle_id[rows] == particle_id, rows, -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Event:
    """Hits of one event; every hit array has one entry per hit.

    Attributes:
        name: Name of the event, for example `event000009030`.
        hit_id: int64, unique in the event.
        x: Position, float32, mm (also `y`, `z`).
        volume_id: Detector volume, int32.
        layer_id: Layer within the volume, int32.
        module_id: Module within the layer, int32.
        particle_id: int64 id of the particle that made the hit; `NOISE` (0) none, `UNLABELLED` (-1) not known.
            None where the event has no truth at all.
        particles: Table of generated particles, None where there is none.
        pile_up: Number of primary vertices of the event: the hard collision and every pile-up collision. None where it
            is not known.
        detector: Modules of the detector, None where its `detectors.csv` is not there.
    """

    name: str
    hit_id: NDArray[np.int64]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    z: NDArray[np.float32]
    volume_id: NDArray[np.int32]
    layer_id: NDArray[np.int32]
    module_id: NDArray[np.int32]
    particle_id: NDArray[np.int64] | None = None
    particles: Particles | None = None
    pile_up: int | None = None
    detector: Detector | None = None

    def __post_init__(self) -> None:
        if self.pile_up is not None and self.pile_up < 0:
            raise DataError(f"event {self.name}: pile_up is {self.pile_up}", remedy="give the number of vertices")
        truth = {} if self.particle_id is None else {"particle_id": np.int64}
        _check_columns(self, {**HIT_COLUMNS, **truth}, len(self.hit_id), f"event {self.name}")

    def __len__(self) -> int:
        return len(self.hit_id)

    @cached_property
    def r(self) -> NDArray[np.float32]:
        """Distance from the beam line, mm."""
        return np.hypot(self.x, self.y)

    @cached_property
    def phi(self) -> NDArray[np.float32]:
        """Azimuth, rad, in [-pi, pi]."""
        return np.arctan2(self.y, self.x)

    @cached_property
    def eta(self) -> NDArray[np.float32]:
        """Pseudorapidity of the hit seen from the origin."""
        return pseudorapidity(self.r, self.z).astype(np.float32)

    @cached_property
    def particle_row(self) -> NDArray[np.int64]:
        """Row of each hit's particle in `particles`, -1 where there is none."""
        if self.particle_id is None or self.particles is None:
            return np.full(len(self), -1, dtype=np.int64)
        return self.particles.rows_of(self.particle_id)

    @cached_property
    def pt(self) -> NDArray[np.float32]:
        """Transverse momentum of each hit's particle, GeV; NaN where there is none."""
        values = np.full(len(self), np.nan, dtype=np.float32)
        if self.particles is not None:
            known = self.particle_row >= 0
            values[known] = self.particles.pt[self.particle_row[known]]
        return values

    def features(self) -> NDArray[np.float32]:
        """Input of the tracking chain.

        Returns:
            float32 [hits, 3]: r (mm), phi (rad), z (mm).
        """
        return np.stack([self.r, self.phi, self.z], axis=1).astype(np.float32)

    def select(self, *, volumes: Iterable[int]) -> Event:
        """Keep the hits of some volumes; order and the particle table stay as they are.

        Args:
            volumes: Volume ids, for example `PIXEL_VOLUMES`.

        Returns:
            The sub-event; it may be empty.
        """
        return self.take(np.flatnonzero(np.isin(self.volume_id, list(volumes))))

    def take(self, rows: NDArray[np.int64]) -> Event:
        """Keep the hits at `rows` (int64 indices, in this order)."""
        arrays = {
            item.name: getattr(self, item.name)[rows]
            for item in fields(self)
            if isinstance(getattr(self, item.name), np.ndarray)
        }
        return replace(self, **arrays)


def _check_columns(table: Event | Particles, columns: Mapping[str, DTypeLike], length: int, what: str) -> None:
    for name, dtype in columns.items():
        values = getattr(table, name)
        if values.shape != (length,):
            raise DataError(
                f"{what}: {name} has shape {values.shape}, expected ({length},)",
                remedy="give one entry per row in every column",
            )
        if values.dtype != dtype:
            raise DataError(f"{what}: {name} is {values.dtype}, expected {np.dtype(dtype)}", remedy="convert the array")
