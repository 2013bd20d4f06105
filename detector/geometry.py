"""Coordinates of a collider detector, and its modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..core import DataError

SMALLEST_RADIUS = 1e-6
"""Radius (mm, or momentum in GeV) below which a point counts as on the beam line, so that eta stays finite."""

ROTATION_COLUMNS = tuple(f"rot_{axis}{local}" for axis in "xyz" for local in "uvw")
DETECTOR_COLUMNS: Mapping[str, DTypeLike] = {
    **dict.fromkeys(("volume_id", "layer_id", "module_id"), np.int32),
    **dict.fromkeys(("cx", "cy", "cz", *ROTATION_COLUMNS), np.float32),
}
"""Columns of `detectors.csv` that are read (TrackML data description; ACTS writes the same names)."""


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


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a detector, as the centres of its modules show it.

    Attributes:
        volume_id: Volume.
        layer_id: Layer within the volume.
        modules: Number of modules.
        r: Smallest and largest distance of a centre from the beam line, mm.
        z: Smallest and largest z of a centre, mm.
    """

    volume_id: int
    layer_id: int
    modules: int
    r: tuple[float, float]
    z: tuple[float, float]

    @property
    def barrel(self) -> bool:
        """Whether the layer is longer along the beam than it is deep across it; a disc is the opposite."""
        return self.z[1] - self.z[0] > self.r[1] - self.r[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """Table of the modules of a detector; every array has one entry per module.

    Attributes:
        volume_id: Volume, int32.
        layer_id: Layer within the volume, int32.
        module_id: Module within the layer, int32; the three together are unique.
        centre: float32 [modules, 3], x, y, z of the centre, mm.
        rotation: float32 [modules, 3, 3]; a point (u, v, w) of the module lies at centre + rotation @ (u, v, w), with w
            across the module.
    """

    volume_id: NDArray[np.int32]
    layer_id: NDArray[np.int32]
    module_id: NDArray[np.int32]
    centre: NDArray[np.float32]
    rotation: NDArray[np.float32]

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]], *, source: str) -> Detector:
        """Make the table from the columns of `detectors.csv`.

        Args:
            columns: `DETECTOR_COLUMNS`.
            source: Name of the file, for messages.

        Raises:
            DataError: No module, or two with the same ids.
        """
        ids = np.stack([columns[name] for name in ("volume_id", "layer_id", "module_id")], axis=1)
        if len(ids) == 0:
            raise DataError(f"{source} lists no modules", remedy="remove the file or write the modules")
        unique, counts = np.unique(ids, axis=0, return_counts=True)
        if len(unique) < len(ids):
            twice = "/".join(map(str, unique[np.argmax(counts > 1)]))
            raise DataError(f"{source}: module {twice} (volume/layer/module) is listed twice", remedy="remove one")
        rotation = np.stack([columns[name] for name in ROTATION_COLUMNS], axis=1)
        return cls(
            volume_id=ids[:, 0],
            layer_id=ids[:, 1],
            module_id=ids[:, 2],
            centre=np.stack([columns[name] for name in ("cx", "cy", "cz")], axis=1),
            rotation=rotation.reshape(-1, 3, 3),
        )

    def __len__(self) -> int:
        return len(self.volume_id)

    def rows_of(
        self, volume_id: NDArray[np.int32], layer_id: NDArray[np.int32], module_id: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Row of each module in this table, -1 where it is not listed; three int arrays of one shape."""
        keys = _module_keys(self.volume_id, self.layer_id, self.module_id)
        order = np.argsort(keys)
        wanted = _module_keys(volume_id, layer_id, module_id)
        rows = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
        return np.where(keys[rows] == wanted, rows, -1)

    def layers(self) -> tuple[Layer, ...]:
        """The layers, sorted by volume and layer id."""
        pairs, members = np.unique(np.stack([self.volume_id, self.layer_id], axis=1), axis=0, return_inverse=True)
        r, z = np.hypot(self.centre[:, 0], self.centre[:, 1]), self.centre[:, 2]
        return tuple(
            Layer(
                volume_id=int(volume),
                layer_id=int(layer),
                modules=int(inside.sum()),
                r=(float(r[inside].min()), float(r[inside].max())),
                z=(float(z[inside].min()), float(z[inside].max())),
            )
            for number, (volume, layer) in enumerate(pairs)
            for inside in [members.reshape(-1) == number]
        )


def _module_keys(*ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """One number per module; ids take 20 bits each, as in the identifiers of ACTS."""
    volume, layer, module = (values.astype(np.int64) for values in ids)
    return (volume << 40) + (layer << 20) + module
