"""Events in the CSV layout of the ACTS examples (checked with ACTS 48).

For each event, plain or gzip-compressed, as its writers name the files:

* `<event>-measurements.csv` (CsvMeasurementWriter): measurement_id, geometry_id, global_x, global_y, global_z, with
  `<event>-measurement-simhit-map.csv`: measurement_id, hit_id; or
* `<event>-spacepoint.csv` (CsvSpacePointWriter): measurement_id_1, measurement_id_2, geometry_id_1, x, y, z; or
* `<event>-hits.csv` or `<event>-simhits.csv` (CsvSimHitWriter): geometry_id, tx, ty, tz and the particle's id;
* `<event>-particles_simulated.csv` or `<event>-particles.csv` (CsvParticleWriter).

The first of these that is there gives the hits of the event: measurements are what a detector sees, simulated hits are
exact. Truth comes from the simulated hits, by way of the map where the event is made of measurements. Lengths are in
mm, momenta in GeV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core import DataError
from .csv_table import Table, TablePath, column_names, read_table
from .event import NOISE, Event, Particles
from .event_folder import EventFiles, read_detector

BARCODE = ("particle_id_pv", "particle_id_sv", "particle_id_part", "particle_id_gen", "particle_id_subpart")
"""Id of a particle: primary vertex, secondary vertex, particle, generation, sub-particle. Older: one column."""
BARCODE_BITS = (20, 8, 16, 8, 12)
"""Bits that each of them has in our 64-bit ids; the sign bit of the first stays free."""

VOLUME_SHIFT, LAYER_SHIFT, MODULE_SHIFT = 56, 36, 8
LAYER_MASK, MODULE_MASK = 0xFFF, 0xFFFFF
"""Acts::GeometryIdentifier: volume 8 bits, boundary 8, layer 12, approach 8, sensitive 20, extra 8."""

NO_MEASUREMENT = np.iinfo(np.uint64).max
POSITIONS: Mapping[str, tuple[str, str, str]] = {
    "measurements": ("global_x", "global_y", "global_z"),
    "spacepoint": ("x", "y", "z"),
    "hits": ("tx", "ty", "tz"),
}
PARTICLE_FLOATS: Mapping[str, DTypeLike] = dict.fromkeys(("vx", "vy", "vz", "px", "py", "pz", "q"), np.float32)


def holds_acts_event(files: EventFiles, name: str) -> bool:
    """Whether the files of this event are those of ACTS: `-hits.csv` exists in the TrackML layout too."""
    if any(files.table(f"{name}-{kind}") for kind in ("measurements", "spacepoint", "simhits")):
        return True
    hits = files.table(f"{name}-hits")
    if hits is None:
        return False
    columns = column_names(hits)
    return "geometry_id" in columns and "hit_id" not in columns


def read_acts_event(files: EventFiles, name: str, *, require_truth: bool) -> Event:
    """Read one event.

    Args:
        files: Where its files are.
        name: Prefix of their names.
        require_truth: Refuse an event without truth and particle table.

    Returns:
        The event; hit ids count from 1 in the order of the file. A spacepoint of two measurements of different
        particles, and a measurement of no simulated hit, are `NOISE`; of several simulated hits the first counts.

    Raises:
        DataError: A file is missing or wrong. File, line and column are named.
    """
    kind, path = _hits_path(files, name)
    id_columns = _geometry_columns(kind, column_names(path))
    hits = read_table(path, dict.fromkeys(id_columns, np.uint64) | dict.fromkeys(POSITIONS[kind], np.float32))
    if len(hits) == 0:
        raise DataError(f"{path} holds no hits", remedy="remove the event or write its hits")
    volume, layer, module = decode_geometry_id(hits[id_columns[0]])
    x, y, z = (hits[column] for column in POSITIONS[kind])
    particle_id = _hit_particles(files, name, kind, hits)
    particles = _read_particles(files, name, particle_id)
    if require_truth and (particle_id is None or particles is None):
        wanted = "simulated hits (-hits.csv, and -measurement-simhit-map.csv)" if particle_id is None else "particles"
        raise DataError(f"{files.location / name} has no {wanted}", remedy="write them too, or give events with truth")
    return Event(
        name=name,
        hit_id=np.arange(1, len(hits) + 1, dtype=np.int64),
        x=x,
        y=y,
        z=z,
        volume_id=volume,
        layer_id=layer,
        module_id=module,
        particle_id=particle_id,
        particles=particles,
        detector=read_detector(files),
    )


def decode_geometry_id(
    geometry_id: NDArray[np.uint64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Volume, layer and module (sensitive surface) of ACTS geometry identifiers.

    Args:
        geometry_id: uint64, any shape.

    Returns:
        Three int32 arrays of the same shape.
    """
    value = geometry_id.astype(np.uint64)
    volume = (value >> np.uint64(VOLUME_SHIFT)).astype(np.int32)
    layer = ((value >> np.uint64(LAYER_SHIFT)) & np.uint64(LAYER_MASK)).astype(np.int32)
    module = ((value >> np.uint64(MODULE_SHIFT)) & np.uint64(MODULE_MASK)).astype(np.int32)
    return volume, layer, module


def barcode_columns(names: Sequence[str]) -> dict[str, DTypeLike]:
    """Columns that hold the particle's id in a file with these columns: one, or the five of a barcode."""
    return dict.fromkeys(("particle_id",) if "particle_id" in names else BARCODE, np.int64)


def particle_ids(table: Table) -> NDArray[np.int64]:
    """One 64-bit id per row from the columns of `barcode_columns`; 0 (`NOISE`) is no particle.

    Raises:
        DataError: A part of a barcode is negative or larger than its bits.
    """
    if "particle_id" in table.columns:
        return table["particle_id"]
    ids = np.zeros(len(table), dtype=np.int64)
    for column, bits in zip(BARCODE, BARCODE_BITS, strict=True):
        values = table[column]
        limit = 1 << (bits - 1 if column == BARCODE[0] else bits)
        wrong = np.flatnonzero((values < 0) | (values >= limit))
        if len(wrong):
            row = int(wrong[0])
            raise table.fail(row, column, f"{values[row]} is not in 0 ... {limit - 1}", remedy="number particles anew")
        ids = (ids << bits) | values
    return ids


def _hits_path(files: EventFiles, name: str) -> tuple[str, TablePath]:
    for kind in ("measurements", "spacepoint", "simhits", "hits"):
        path = files.table(f"{name}-{kind}")
        if path is not None:
            return ("hits" if kind == "simhits" else kind), path
    raise DataError(f"{files.location / name} has no hits, measurements or spacepoints", remedy="give an event's name")


def _geometry_columns(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """Unsigned columns to read beside the position; that with the geometry id comes first."""
    if kind == "measurements":
        return "geometry_id", "measurement_id"
    if kind == "hits":
        return ("geometry_id",)
    if "measurement_id" in names:  # before ACTS 36: spacepoints of one measurement
        return "geometry_id", "measurement_id"
    return "geometry_id_1", "measurement_id_1", "measurement_id_2"


def _hit_particles(files: EventFiles, name: str, kind: str, hits: Table) -> NDArray[np.int64] | None:
    """Particle of each hit, None where the files do not tell."""
    if kind == "hits":
        return particle_ids(read_table(hits.path, barcode_columns(column_names(hits.path))))
    simulated_path = files.table(f"{name}-simhits") or files.table(f"{name}-hits")
    map_path = files.table(f"{name}-measurement-simhit-map")
    if simulated_path is None or map_path is None:
        return None
    simulated = particle_ids(read_table(simulated_path, barcode_columns(column_names(simulated_path))))
    links = read_table(map_path, {"measurement_id": np.int64, "hit_id": np.int64})
    wrong = np.flatnonzero((links["hit_id"] < 0) | (links["hit_id"] >= len(simulated)))
    if len(wrong):
        row = int(wrong[0])
        reason = f"hit {links['hit_id'][row]} is not in {simulated_path.name}"
        raise links.fail(row, "hit_id", reason, remedy="remove the line")
    measurement, first = np.unique(links["measurement_id"], return_index=True)
    of_measurement = simulated[links["hit_id"][first]]
    if "measurement_id" in hits.columns:
        return _look_up(hits["measurement_id"], measurement, of_measurement)
    one, two = (_look_up(hits[f"measurement_id_{end}"], measurement, of_measurement) for end in (1, 2))
    single = hits["measurement_id_2"] == NO_MEASUREMENT
    return np.where(single | (one == two), one, NOISE)


def _look_up(wanted: NDArray[Any], keys: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Value of each wanted key; `NOISE` where it is not among the (sorted) keys."""
    if len(keys) == 0:
        return np.full(len(wanted), NOISE, dtype=np.int64)
    known = wanted <= np.uint64(keys[-1])
    wanted = np.where(known, wanted, 0).astype(np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(known & (keys[place] == wanted), values[place], NOISE)


def _read_particles(files: EventFiles, name: str, particle_id: NDArray[np.int64] | None) -> Particles | None:
    path = files.table(f"{name}-particles_simulated") or files.table(f"{name}-particles")
    if path is None:
        return None
    table = read_table(path, barcode_columns(column_names(path)) | dict(PARTICLE_FLOATS))
    ids = particle_ids(table)
    columns = {column: table[column] for column in PARTICLE_FLOATS}
    Table(path=path, columns={"particle_id": ids}).require_unique("particle_id")
    charge = np.rint(columns.pop("q")).astype(np.int32)
    seen, counts = np.unique(particle_id if particle_id is not None else ids[:0], return_counts=True)
    particles = Particles(particle_id=ids, q=charge, nhits=np.zeros(len(ids), dtype=np.int32), **columns)
    rows = particles.rows_of(seen)
    particles.nhits[rows[rows >= 0]] = counts[rows >= 0]
    return particles
