"""Events on disk, in the CSV layout of the TrackML challenge.

An event is a set of files that share a prefix, plain or gzip-compressed:

* `<prefix>-hits.csv`: hit_id, x, y, z, volume_id, layer_id, module_id
* `<prefix>-truth.csv`: hit_id, particle_id for every hit (0: noise); or
  `<prefix>-truthlabels.csv`: the same for some hits, the others are unlabelled
* `<prefix>-particles.csv`: particle_id, vx, vy, vz, px, py, pz, q, nhits
* `<prefix>-collisions.csv`: one line, primary_vertices (our addition: how many collisions were simulated)

Source: TrackML particle tracking challenge, data description.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core import DataError, atomic_file
from .csv_table import Table, read_table, write_table
from .event import UNLABELLED, Event, Particles

HIT_COLUMNS: Mapping[str, DTypeLike] = {
    "hit_id": np.int64,
    "x": np.float32,
    "y": np.float32,
    "z": np.float32,
    "volume_id": np.int32,
    "layer_id": np.int32,
    "module_id": np.int32,
}
TRUTH_COLUMNS: Mapping[str, DTypeLike] = {"hit_id": np.int64, "particle_id": np.int64}
PARTICLE_COLUMNS: Mapping[str, DTypeLike] = {
    "particle_id": np.int64,
    **{name: np.float32 for name in ("vx", "vy", "vz", "px", "py", "pz")},
    "q": np.int32,
    "nhits": np.int32,
}
COLLISION_COLUMNS: Mapping[str, DTypeLike] = {"primary_vertices": np.int32}
SUFFIXES = (".csv", ".csv.gz")


def list_events(directory: Path) -> list[Path]:
    """Find the events of a directory.

    Args:
        directory: Folder with files `<name>-hits.csv[.gz]`.

    Returns:
        Prefix of each event (`directory / name`), sorted by name.

    Raises:
        DataError: The directory does not exist or holds no events.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise DataError(f"{directory} is not a directory", remedy="give a folder of events in TrackML CSV layout")
    names = {
        path.name.removesuffix(f"-hits{suffix}") for suffix in SUFFIXES for path in directory.glob(f"*-hits{suffix}")
    }
    if not names:
        raise DataError(
            f"{directory} holds no events", remedy="give a folder with files event000000000-hits.csv or .csv.gz"
        )
    return [directory / name for name in sorted(names)]


def read_events(
    directory: Path,
    limit: int | None = None,
    names: Collection[str] | None = None,
    *,
    require_truth: bool = False,
) -> Iterator[Event]:
    """Read events one after the other, sorted by name.

    Args:
        directory: Folder of events.
        limit: At most this many.
        names: Only these; an event name that is not there is an error.
        require_truth: Refuse events without truth and particle table.

    Yields:
        The events.

    Raises:
        DataError: No such directory or event, or a wrong file (see `read_event`).
    """
    prefixes = list_events(directory)
    if names is not None:
        missing = sorted(set(names) - {prefix.name for prefix in prefixes})
        if missing:
            raise DataError(
                f"{directory} has no event {missing[0]}",
                remedy=f"choose among {prefixes[0].name} to {prefixes[-1].name}",
            )
        prefixes = [prefix for prefix in prefixes if prefix.name in set(names)]
    for prefix in islice(prefixes, limit):
        yield read_event(prefix, require_truth=require_truth)


def read_event(prefix: Path, *, require_truth: bool = False) -> Event:
    """Read one event.

    Args:
        prefix: Path of the event's files without `-hits.csv`, for example `data/event000009030`.
        require_truth: Refuse an event without truth and particle table.

    Returns:
        The event; `particle_id`, `particles` and `pile_up` are None where their files are absent.

    Raises:
        DataError: A file is missing or wrong, a hit id repeats, the event is empty, or truth names a hit that does not
            exist or leaves one out. File, line and column are named.
    """
    prefix = Path(prefix)
    hits_path = _find(prefix, "hits")
    if hits_path is None:
        raise DataError(f"{prefix}-hits.csv does not exist (nor .csv.gz)", remedy="give the prefix of an event")
    hits = read_table(hits_path, HIT_COLUMNS)
    if len(hits) == 0:
        raise DataError(f"{hits_path} holds no hits", remedy="remove the event or write its hits")
    hits.require_unique("hit_id")
    columns = {name: hits[name] for name in HIT_COLUMNS}
    particle_id = _read_truth(prefix, hits, required=require_truth)
    particles = _read_particles(prefix, required=require_truth)
    return Event(
        name=prefix.name, particle_id=particle_id, particles=particles, pile_up=_read_pile_up(prefix), **columns
    )


def write_event(event: Event, directory: Path) -> Path:
    """Write an event in the layout `read_event` reads, gzip-compressed; coordinates keep every bit.

    Args:
        event: The event. Partial truth goes to `-truthlabels.csv.gz`, without the unlabelled hits.
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


def _find(prefix: Path, kind: str) -> Path | None:
    candidates = (prefix.with_name(f"{prefix.name}-{kind}{suffix}") for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _read_truth(prefix: Path, hits: Table, *, required: bool) -> NDArray[np.int64] | None:
    complete = _find(prefix, "truth")
    path = complete or _find(prefix, "truthlabels")
    if path is None:
        if required:
            raise DataError(
                f"{prefix}-truth.csv does not exist (nor -truthlabels.csv, nor .csv.gz)",
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


def _read_particles(prefix: Path, *, required: bool) -> Particles | None:
    path = _find(prefix, "particles")
    if path is None:
        if required:
            raise DataError(
                f"{prefix}-particles.csv does not exist (nor .csv.gz)", remedy="give events with a particle table"
            )
        return None
    table = read_table(path, PARTICLE_COLUMNS)
    table.require_unique("particle_id")
    return Particles(**{name: table[name] for name in PARTICLE_COLUMNS})


def _read_pile_up(prefix: Path) -> int | None:
    path = _find(prefix, "collisions")
    if path is None:
        return None
    vertices = read_table(path, COLLISION_COLUMNS)["primary_vertices"]
    if len(vertices) != 1 or vertices[0] < 0:
        raise DataError(f"{path} holds {vertices.tolist()}", remedy="write one line with the number of vertices")
    return int(vertices[0])


def _write(prefix: Path, kind: str, columns: Mapping[str, NDArray]) -> None:
    with atomic_file(prefix.with_name(f"{prefix.name}-{kind}.csv.gz")) as temporary:
        write_table(temporary, columns, compressed=True)
