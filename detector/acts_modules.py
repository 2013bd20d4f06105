"""Modules of the Generic detector of ACTS: geometry identifiers, and hits in the coordinates of their module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from .event import Event
from .simulation_acts import RESOLUTION_MM

KEY_BITS = 20
"""Bits of layer and module in the key (volume, layer, module)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ActsModules:
    """Planes of all modules, sorted by key.

    Attributes:
        key: int64 [modules], volume, layer and module in one number.
        identifier: Geometry identifier of ACTS of each module.
        centre: float64 [modules, 3], mm.
        axes: float64 [modules, 2, 3], unit vectors of the two measured directions.
    """

    key: NDArray[np.int64]
    identifier: list[Any]
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]

    @classmethod
    def of(cls, geometry: Any) -> ActsModules:  # noqa: ANN401 - a C++ object
        """Read the sensitive surfaces of a tracking geometry of ACTS."""
        import acts

        context, normal = acts.GeometryContext.dangerouslyDefaultConstruct(), acts.Vector3(0, 0, 1)
        surfaces = {
            _key(name.volume, name.layer, name.sensitive): (name, surface)
            for name, surface in geometry.geoIdSurfaceMap().items()
            if name.sensitive
        }
        keys = sorted(surfaces)
        planes = [surfaces[key][1] for key in keys]
        # Points at (0, 0), (1, 0) and (0, 1) of each plane.
        points = np.array(
            [
                [list(plane.localToGlobal(context, acts.Vector2(*place), normal)) for place in ((0, 0), (1, 0), (0, 1))]
                for plane in planes
            ]
        )
        return cls(
            key=np.array(keys, dtype=np.int64),
            identifier=[surfaces[key][0] for key in keys],
            centre=points[:, 0],
            axes=points[:, 1:] - points[:, :1],
        )

    def rows(self, event: Event) -> NDArray[np.int64]:
        """Row of each hit's module.

        Returns:
            int64 [hits].

        Raises:
            DataError: The detector has no such module.
        """
        fields = [values.astype(np.int64) for values in (event.volume_id, event.layer_id, event.module_id)]
        possible = np.all([(values >= 0) & (values < 1 << KEY_BITS) for values in fields], axis=0)
        keys = np.where(possible, _key(*fields), -1)
        rows = np.minimum(np.searchsorted(self.key, keys), len(self.key) - 1)
        unknown = np.flatnonzero(self.key[rows] != keys)
        if len(unknown):
            hit = int(unknown[0])
            raise DataError(
                f"event {event.name}: the Generic detector has no module {event.module_id[hit]} in layer "
                f"{event.layer_id[hit]} of volume {event.volume_id[hit]}",
                remedy="give events of the Generic (TrackML) detector, as `hitfabric simulate --generator acts` makes",
            )
        return rows

    def measurements(
        self, event: Event, *, tolerance: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Hits as measurements of their modules.

        Args:
            event: The event.
            tolerance: Largest distance of a hit from the plane of its module, mm.

        Returns:
            Rows of modules int64 [hits], positions float64 [hits, 2] (mm) and variances float64 [hits, 2] (mm^2).

        Raises:
            DataError: A module is not known, or a hit is not on its module.
        """
        rows = self.rows(event)
        offset = np.stack([event.x, event.y, event.z], axis=1).astype(np.float64) - self.centre[rows]
        local = np.einsum("hij,hj->hi", self.axes[rows], offset)
        distance = np.linalg.norm(offset - np.einsum("hij,hi->hj", self.axes[rows], local), axis=1)
        far = np.flatnonzero(~(distance <= tolerance))  # NaN is far as well
        if len(far):
            raise DataError(
                f"event {event.name}: hit {event.hit_id[far[0]]} is {distance[far[0]]:.3g} mm beside its module",
                remedy="give events of the Generic (TrackML) detector, or raise plane_tolerance",
            )
        volumes, place = np.unique(event.volume_id, return_inverse=True)
        sigma = np.array([RESOLUTION_MM[int(volume)] for volume in volumes]).reshape(-1, 2)[place]
        return rows, local, sigma**2


def _key(volume: Any, layer: Any, module: Any) -> Any:  # noqa: ANN401 - numbers or arrays of them
    return (volume << 2 * KEY_BITS) | (layer << KEY_BITS) | module
