"""Graphs (`.npz`) read as events: those of sPHENIX, and the pixel graphs of TrackML (`plus`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from .csv_table import TablePath
from .event import Event
from .event_folder import EventFiles
from .graph_sample import read_graph
from .simulation_helix import (
    BARREL_HALF_LENGTH_MM,
    BARREL_RADII_MM,
    BARREL_VOLUME,
    DISC_Z_MM,
    NEGATIVE_VOLUME,
    POSITIVE_VOLUME,
)
from .sphenix_graph import is_sphenix_graph, load_arrays, read_sphenix_event

SUFFIX = ".npz"
LARGEST_DISTANCE_MM = 12.0
"""How far a hit may be from the nominal place of its layer: modules of a layer overlap, and are flat."""


def read_graph_event(path: TablePath) -> Event:
    """Read the hits of a graph as an event.

    Args:
        path: `.npz` file of sPHENIX (see `read_sphenix_event`) or of TrackML's pixel detector (see `read_graph`).

    Returns:
        The event. A TrackML graph has no ids of layers: they are those of the nearest layer; `module_id` is 0, and
        there is no particle table.

    Raises:
        DataError: The file cannot be read, an array is missing or wrong (named), or a hit lies on no pixel layer.
    """
    if is_sphenix_graph(load_arrays(path)):
        return read_sphenix_event(path)
    if not isinstance(path, Path):
        raise DataError(f"{path} is inside an archive", remedy="unpack the archive")
    sample = read_graph(path)
    count = len(sample.nodes)
    if count == 0:
        raise DataError(f"{path} holds no hits", remedy="leave the graph out")
    r, phi, z = (sample.nodes.astype(np.float64) * np.array([1000.0, np.pi, 1000.0])).T
    volume, layer, distance = nearest_pixel_layer(r, z)
    far = np.flatnonzero(distance > LARGEST_DISTANCE_MM)
    if len(far):
        hit = int(far[0])
        raise DataError(
            f"{path}: node {hit} (r {r[hit]:.1f} mm, z {z[hit]:.1f} mm) lies on no pixel layer of the TrackML detector",
            remedy="give graphs of pixel hits with x = (r/1000, phi/pi, z/1000)",
        )
    return Event(
        name=sample.name,
        hit_id=np.arange(1, count + 1, dtype=np.int64),
        x=(r * np.cos(phi)).astype(np.float32),
        y=(r * np.sin(phi)).astype(np.float32),
        z=z.astype(np.float32),
        volume_id=volume,
        layer_id=layer,
        module_id=np.zeros(count, dtype=np.int32),
        particle_id=sample.particle_id,
    )


def nearest_pixel_layer(
    r: NDArray[np.float64], z: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Pixel layer of the TrackML (Generic) detector that is nearest to each point.

    Args:
        r: Distance from the beam line, mm.
        z: mm.

    Returns:
        Volume and layer ids (int32), and the distance from the nominal place of the layer, mm.
    """
    middle = (BARREL_HALF_LENGTH_MM + DISC_Z_MM[0]) / 2
    barrel = np.abs(z) < middle
    away = np.abs(np.where(barrel, r, np.abs(z)))
    places = [np.abs(away[:, None] - np.array(layers)[None]) for layers in (BARREL_RADII_MM, DISC_Z_MM)]
    number = np.where(barrel, *(place.argmin(axis=1) for place in places))
    distance = np.where(barrel, *(place.min(axis=1) for place in places))
    # Layers have even ids that grow with r in the barrel and with z in the discs.
    disc = np.where(z > 0, 2 * (number + 1), 2 * (len(DISC_Z_MM) - number))
    volume = np.where(barrel, BARREL_VOLUME, np.where(z > 0, POSITIVE_VOLUME, NEGATIVE_VOLUME))
    return volume.astype(np.int32), np.where(barrel, 2 * (number + 1), disc).astype(np.int32), distance


class GraphEvents:
    """Events that are graphs, `<event>.npz`."""

    def names(self, files: EventFiles) -> set[str]:
        """Names of the events."""
        return {name.removesuffix(SUFFIX) for name in files.names() if name.endswith(SUFFIX) and name[0] != "."}

    def holds(self, files: EventFiles, name: str) -> bool:
        """Whether there is an event of this name."""
        return files.find(name + SUFFIX) is not None

    def read(self, files: EventFiles, name: str, *, require_truth: bool) -> Event:
        """Read one event.

        Raises:
            DataError: The file is wrong, or a particle table is required and not there.
        """
        path = files.find(name + SUFFIX)
        if path is None:
            raise DataError(f"{files.location / name}{SUFFIX} does not exist", remedy="give an event's name")
        event = read_graph_event(path)
        if require_truth and event.particles is None:
            raise DataError(f"{path} has no table of particles (vertices, momenta)", remedy="give events with truth")
        return event
