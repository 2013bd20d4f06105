"""Graphs of the sPHENIX tracker (MVTX and INTT), as events and as labelled graphs.

Two layouts of `.npz` files are in use:

* TrackGNN's (github.com/silvenachen/TrackGNN): `hits_xyz` [N, 3], `layer_id` [N], `pid` [N], `noise_label` [N],
  `edge_index` [2, E]; vertices and momenta are pickled Python objects there and are not read;
* that of the trigger studies (Xuan et al., ECML 2022): `hit_cartesian` [N, 3], `layer_id` [N], `particle_id` [N]
  (NaN: noise), `momentum` [N, 3] and `track_origin` [N, 3] of each hit's particle, `edge_index` [2, E].

Positions are in cm there and become mm here; momenta are in GeV. Layers 0 to 2 are the MVTX, 3 to 6 the INTT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..core import CORRUPT, DataError
from .csv_table import UNREADABLE, TablePath
from .event import NOISE, Event, Particles
from .graph_sample import GraphSample

MM_PER_CM = 10.0
MVTX, INTT = 1, 2
"""Volume ids that we give to the two detectors; the files have layers only."""
FIRST_INTT_LAYER = 3
POSITIONS = ("hits_xyz", "hit_cartesian")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Arrays:
    path: TablePath
    values: Mapping[str, NDArray[Any]]

    def get(self, name: str, kind: str, *shape: int) -> NDArray[Any]:
        """One array; `kind` is "number" or "integer", a size of -1 in `shape` is any."""
        if name not in self.values:
            raise DataError(f"{self.path} has no array {name}", remedy="give a graph of sPHENIX or TrackML")
        array = self.values[name]
        same = array.ndim == len(shape) and all(
            want in (-1, size) for want, size in zip(shape, array.shape, strict=True)
        )
        if array.dtype.kind not in ("biuf" if kind == "number" else "biu") or not same:
            wanted = ", ".join("any" if size < 0 else str(size) for size in shape)
            raise DataError(
                f"{self.path}: {name} is {array.dtype} of shape {array.shape}, expected {kind}s of shape ({wanted})",
                remedy="correct the array or leave the graph out",
            )
        return array

    def finite(self, name: str, *shape: int) -> NDArray[np.float64]:
        array = self.get(name, "number", *shape).astype(np.float64)
        if not np.isfinite(array).all():
            place = ", ".join(map(str, np.argwhere(~np.isfinite(array))[0]))
            raise DataError(f"{self.path}: {name}[{place}] is not finite", remedy="remove the hit")
        return array


def is_sphenix_graph(names: Mapping[str, Any] | list[str]) -> bool:
    """Whether a file with arrays of these names is a graph of sPHENIX."""
    return any(name in names for name in POSITIONS)


def read_sphenix_event(path: TablePath) -> Event:
    """Read the hits of a graph as an event.

    Args:
        path: `.npz` file in one of the two layouts.

    Returns:
        The event; hit ids count from 1, particle ids are numbered anew from 1 (0 is noise). `volume_id` is `MVTX` or
        `INTT`, `module_id` is 0. The particle table is None in TrackGNN's layout; in the other the charge is 0, as
        the file does not give it.

    Raises:
        DataError: The file cannot be read, or an array is missing or wrong (named).
    """
    return _event(_load(path))


def read_sphenix_graph(path: TablePath) -> GraphSample:
    """Read a graph with labels: an edge is true where both its hits are of one particle, which is not noise.

    Args:
        path: `.npz` file in one of the two layouts.

    Returns:
        The graph, with node and edge features as TrackML's graphs have them; `write_graph` writes it in their layout.

    Raises:
        DataError: The file cannot be read, or an array is missing or wrong (named).
    """
    arrays = _load(path)
    event = _event(arrays)
    edge_index = np.ascontiguousarray(arrays.get("edge_index", "integer", 2, -1).astype(np.int64).T)
    outside = (edge_index < 0) | (edge_index >= len(event))
    if outside.any():
        edge, end = np.argwhere(outside)[0]
        raise DataError(
            f"{path}: edge_index[{end}, {edge}] is {edge_index[edge, end]}, there are {len(event)} hits",
            remedy="remove the edge",
        )
    particle_id = cast(NDArray[np.int64], event.particle_id)
    sender, receiver = particle_id[edge_index].T
    labels = (sender == receiver) & (sender != NOISE)
    return GraphSample.from_event(event, edge_index, labels=labels, particle_id=particle_id)


def load_arrays(path: TablePath) -> dict[str, NDArray[Any]]:
    """Read the arrays of an `.npz` file; pickled ones are left out, unread.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as stream, np.load(cast(Any, stream), allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {}
            for name in archive.files:
                try:
                    arrays[name] = archive[name]
                except ValueError as error:
                    if "allow_pickle" not in str(error):
                        raise
            return arrays
    except (*CORRUPT, *UNREADABLE) as error:
        raise DataError(f"cannot read {path}: {' '.join(str(error).split())}", remedy="give an .npz file") from error


def _load(path: TablePath) -> _Arrays:
    return _Arrays(path=path, values=load_arrays(path))


def _event(arrays: _Arrays) -> Event:
    trackgnn = "hits_xyz" in arrays.values
    position = (arrays.finite(POSITIONS[0 if trackgnn else 1], -1, 3) * MM_PER_CM).astype(np.float32)
    count = len(position)
    if count == 0:
        raise DataError(f"{arrays.path} holds no hits", remedy="leave the graph out")
    layer = arrays.get("layer_id", "integer", count).astype(np.int32)
    if trackgnn:
        given = arrays.get("pid", "integer", count)
        noise = arrays.get("noise_label", "number", count) != 0
    else:
        given = arrays.get("particle_id", "number", count)
        noise = np.isnan(given.astype(np.float64))
    _, first, number = np.unique(given[~noise], return_index=True, return_inverse=True)
    particle_id = np.full(count, NOISE, dtype=np.int64)
    particle_id[~noise] = number.reshape(-1) + 1
    return Event(
        name=Path(arrays.path.name).stem,
        hit_id=np.arange(1, count + 1, dtype=np.int64),
        x=position[:, 0],
        y=position[:, 1],
        z=position[:, 2],
        volume_id=np.where(layer < FIRST_INTT_LAYER, MVTX, INTT).astype(np.int32),
        layer_id=layer,
        module_id=np.zeros(count, dtype=np.int32),
        particle_id=particle_id,
        particles=None if trackgnn else _particles(arrays, np.flatnonzero(~noise)[first], number.reshape(-1)),
    )


def _particles(arrays: _Arrays, rows: NDArray[np.int64], number: NDArray[np.int64]) -> Particles:
    """Table of the particles whose first hits are at `rows`."""
    count = len(arrays.values["particle_id"])
    momentum = _Arrays(path=arrays.path, values={"momentum": arrays.get("momentum", "number", count, 3)[rows]})
    origin = _Arrays(path=arrays.path, values={"track_origin": arrays.get("track_origin", "number", count, 3)[rows]})
    p = momentum.finite("momentum", -1, 3).astype(np.float32)
    v = (origin.finite("track_origin", -1, 3) * MM_PER_CM).astype(np.float32)
    return Particles(
        particle_id=np.arange(1, len(rows) + 1, dtype=np.int64),
        **{f"v{axis}": v[:, column] for column, axis in enumerate("xyz")},
        **{f"p{axis}": p[:, column] for column, axis in enumerate("xyz")},
        q=np.zeros(len(rows), dtype=np.int32),
        nhits=np.bincount(number, minlength=len(rows)).astype(np.int32),
    )
