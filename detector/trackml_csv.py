"""Events in the CSV layout of the TrackML challenge.

An event is a set of files that share a prefix, plain or gzip-compressed, in a folder or in a .zip archive:

* `<prefix>-hits.csv`: hit_id, x, y, z, volume_id, layer_id, module_id
* `<prefix>-truth.csv`: hit_id, particle_id for every hit (0: noise); or
  `<prefix>-truthlabels.csv`: the same for some hits, the others are unlabelled
* `<prefix>-particles.csv`: particle_id, vx, vy, vz, px, py, pz, q, nhits
* `<prefix>-collisions.csv`: one line, primary_vertices (our addition: how many collisions were simulated)

Source: TrackML particle tracking challenge, data description.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core import DataError, atomic_file
from .csv_table import Table, TablePath, read_table, write_table
from .event import HIT_COLUMNS, PARTICLE_COLUMNS, UNLABELLED, Event, Particles
from .event_folder import EventFiles, read_detector

TRUTH_COLUMNS: Mapping[str, DTypeLike] = {"hit_id": np.int64, "particle_id": np.int64}
COLLISION_COLUMNS: Mapping[str, DTypeLike] = {"primary_vertices": np.int32}


def read_trackml_event(files: EventFiles, name: str, *, require_truth: bool) -> Event:
    """Read one event.

    Args:
        files: Where its files are.
        name: Prefix of their names.
        require_truth: Refuse an event without truth and particle table.

    Returns:
        The event; what has no file is None.

    Raises:
        DataError: A file is missing or wrong. File, line and column are named.
    """
    hits_path = files.table(f"{name}-hits")
    if hits_path is None:
        raise DataError(f"{files.location / name}-hits.csv does not exist (nor .csv.gz)", remedy="give an event's name")
    hits = read_table(hits_path, HIT_COLUMNS)
    if len(hits) == 0:
        raise DataError(f"{hits_path} holds no hits", remedy="remove the event or write its hits")
    hits.require_unique("hit_id")
    return Event(
        name=name,
        particle_id=_read_truth(files, name, hits, required=require_truth),
        particles=_read_particles(files, name, required=require_truth),
        pile_up=_read_pile_up(files, name),
        detector=read_detector(files),
        **{column: hits[column] for column in HIT_COLUMNS},
    )


def write_event(event: Event, directory: Path) -> Path:
    """Write an event in TrackML CSV layout, gzip-compressed; coordinates keep every bit.

    Args:
        event: The event. Partial truth goes to `-truthlabels.csv.gz`, without the unlabelled hits. The modules of the
            detector are not written: they belong to a whole folder, as `detectors.csv`.
        directory: Folder; created where absent.

    Returns:
        Prefix of the event, to be given to `read_event`.
    """
    prefix = Path(directory) / event.name
    if event.particles is not None:
        _write(prefix, "particles", {name: getattr(event.particles, name) for name in PARTICLE_COLUMNS})
    if event.particle_id is not None:
        labelled = event.particle_id != UNLABELLED
        kind = "truth" if labelled.all() else "truthlabels"
        _write(prefix, kind, {"hit_id": event.hit_id[labelled], "particle_id": event.particle_id[labelled]})
    if event.pile_up is not None:
        _write(prefix, "collisions", {"primary_vertices": np.array([event.pile_up], dtype=np.int32)})
    # Hits come last: an event whose hits exist is complete.
    _write(prefix, "hits", {name: getattr(event, name) for name in HIT_COLUMNS})
    return prefix


def _read_truth(files: EventFiles, name: str, hits: Table, *, required: bool) -> NDArray[np.int64] | None:
    complete = files.table(f"{name}-truth")
    path = complete or files.table(f"{name}-truthlabels")
    if path is None:
        if required:
            raise DataError(
                f"{files.location / name}-truth.csv does not exist (nor -truthlabels.csv, nor .csv.gz)",
                remedy="give events with truth",
            )
        return None
    truth = read_table(path, TRUTH_COLUMNS)
    truth.require_unique("hit_id")
    order = np.argsort(hits["hit_id"])
    sorted_ids = hits["hit_id"][order]
    place = np.minimum(np.searchsorted(sorted_ids, truth["hit_id"]), len(hits) - 1)
    unknown = np.flatnonzero(sorted_ids[place] != truth["hit_id"])
    if len(unknown):
        row = int(unknown[0])
        raise truth.fail(
            row, "hit_id", f"hit {truth['hit_id'][row]} is not in {hits.path.name}", remedy="remove the line"
        )
    particle_id = np.full(len(hits), UNLABELLED, dtype=np.int64)
    particle_id[order[place]] = truth["particle_id"]
    if complete is not None and len(truth) != len(hits):
        absent = np.ones(len(hits), dtype=bool)
        absent[order[place]] = False
        raise DataError(
            f"{path}: no line for hit {hits['hit_id'][int(np.argmax(absent))]}",
            remedy="label every hit, or name the file -truthlabels.csv where truth is partial",
        )
    return particle_id


def _read_particles(files: EventFiles, name: str, *, required: bool) -> Particles | None:
    path = files.table(f"{name}-particles")
    if path is None:
        if required:
            raise DataError(
                f"{files.location / name}-particles.csv does not exist (nor .csv.gz)",
                remedy="give events with a particle table",
            )
        return None
    table = read_table(path, PARTICLE_COLUMNS)
    table.require_unique("particle_id")
    return Particles(**{column: table[column] for column in PARTICLE_COLUMNS})


def _read_pile_up(files: EventFiles, name: str) -> int | None:
    path: TablePath | None = files.table(f"{name}-collisions")
    if path is None:
        return None
    vertices = read_table(path, COLLISION_COLUMNS)["primary_vertices"]
    if len(vertices) != 1 or vertices[0] < 0:
        raise DataError(f"{path} holds {vertices.tolist()}", remedy="write one line with the number of vertices")
    return int(vertices[0])


def _write(prefix: Path, kind: str, columns: Mapping[str, NDArray]) -> None:
    with atomic_file(prefix.with_name(f"{prefix.name}-{kind}.csv.gz")) as temporary:
        write_table(temporary, columns, compressed=True)
