"""Events in Parquet files: an event per file, or many.

* `<stem>-hits.parquet`: the columns of a table of hits (hit_id, x, y, z, volume_id, layer_id, module_id), and where
  known `particle_id` (0: noise, null: unlabelled) and `primary_vertices` (the same in all rows of an event);
* `<stem>-particles.parquet`: particle_id, vx, vy, vz, px, py, pz, q, nhits.

With a column `event` (the name, or a number, which becomes `event` and nine digits) a file holds many events;
without it, it is the event `<stem>`. Files that are written here have one row group per event, so that reading one
event does not read the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core import DataError, atomic_file
from .csv_table import UNREADABLE, Table, TablePath
from .event import HIT_COLUMNS, PARTICLE_COLUMNS, UNLABELLED, Event, Particles
from .event_folder import EventFiles, read_detector

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

HITS, PARTICLES = "-hits.parquet", "-particles.parquet"
EVENT, TRUTH, VERTICES = "event", "particle_id", "primary_vertices"


def write_parquet(events: Iterable[Event], directory: Path, stem: str = "events") -> Path:
    """Write events to `<stem>-hits.parquet` and `<stem>-particles.parquet`, with a column `event`.

    Args:
        events: Events with different names; they are written one after the other, so an iterator will do. All have
            truth or none has, and likewise for particle tables and numbers of collisions.
        directory: Folder; created where absent.
        stem: Start of the names of the files.

    Returns:
        Path of the file of hits.

    Raises:
        DataError: There is no event, two have one name, or some but not all have truth.
    """
    from pyarrow import parquet

    path = Path(directory) / f"{stem}{HITS}"
    written: set[str] = set()
    with ExitStack() as stack:
        writers: dict[str, parquet.ParquetWriter] = {}
        for event in events:
            if event.name in written:
                raise DataError(f"two events are named {event.name}", remedy="give every event its own name")
            tables = _arrow_tables(event)
            if not writers:
                # The file of hits is renamed last: where it exists, everything does.
                for ending in sorted(tables):
                    temporary = stack.enter_context(atomic_file(path.with_name(f"{stem}{ending}")))
                    file = stack.enter_context(temporary.open("wb"))  # pyarrow opens only names that are UTF-8
                    writers[ending] = stack.enter_context(parquet.ParquetWriter(file, tables[ending].schema))
            written.add(event.name)
            if {e: w.schema for e, w in writers.items()} != {e: t.schema for e, t in tables.items()}:
                raise DataError(
                    f"event {event.name} has other columns than the events before it",
                    remedy="write events with truth and events without to different files",
                )
            for ending, table in tables.items():
                writers[ending].write_table(table, row_group_size=max(len(table), 1))
        if not written:
            raise DataError("no events to write", remedy="give events")
    return path


class ParquetEvents:
    """Events in Parquet files of a folder."""

    def names(self, files: EventFiles) -> set[str]:
        """Names of the events.

        Raises:
            DataError: A file cannot be read.
        """
        found: set[str] = set()
        for path, stem in _hit_files(files):
            with _open(path) as file:
                if EVENT in file.schema_arrow.names:
                    found |= {_event_name(value) for value in _distinct(file)}
                else:
                    found.add(stem)
        return found

    def holds(self, files: EventFiles, name: str) -> bool:
        """Whether there is an event of this name."""
        return files.find(name + HITS) is not None or name in self.names(files)

    def read(self, files: EventFiles, name: str, *, require_truth: bool) -> Event:
        """Read one event.

        Raises:
            DataError: A file cannot be read or is wrong (file, row and column are named), or there is no truth where it
                is required.
        """
        for path, stem in _hit_files(files):
            with _open(path) as file:
                arrow = _select(file, path, name, stem)
            if arrow is not None:
                return _event(files, name, stem, path, arrow, require_truth=require_truth)
        raise DataError(f"{files.location} has no event {name}", remedy="give the name of an event")


def _hit_files(files: EventFiles) -> Iterator[tuple[TablePath, str]]:
    for name in sorted(files.names()):
        path = files.find(name) if name.endswith(HITS) and name[0] != "." else None
        if path is not None:
            yield path, name.removesuffix(HITS)


@contextmanager
def _open(path: TablePath) -> Iterator[parquet.ParquetFile]:
    import pyarrow
    from pyarrow import parquet

    try:
        with path.open("rb") as raw, parquet.ParquetFile(cast(Any, raw)) as file:
            yield file
    except (pyarrow.ArrowException, *UNREADABLE) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"cannot read {path}: {reason}", remedy="give a whole Parquet file") from error


def _event_name(value: str | int | None) -> str:
    return f"event{value:09d}" if isinstance(value, int) else str(value)


def _distinct(file: parquet.ParquetFile) -> set[str | int | None]:
    return set(file.read(columns=[EVENT]).column(EVENT).unique().to_pylist())


def _select(file: parquet.ParquetFile, path: TablePath, name: str, stem: str) -> pyarrow.Table | None:
    """Rows of one event; None where the file does not hold it."""
    import pyarrow
    from pyarrow import compute

    if EVENT not in file.schema_arrow.names:
        return file.read() if name == stem else None
    kind = file.schema_arrow.field(EVENT).type
    if pyarrow.types.is_integer(kind):
        key: str | int = int(name.removeprefix("event")) if name.removeprefix("event").isdecimal() else -1
        if _event_name(key) != name:
            return None
    elif pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or pyarrow.types.is_dictionary(kind):
        key = name
    else:
        raise DataError(f"{path}: column {EVENT} is {kind}", remedy="write names or whole numbers")
    place = file.schema_arrow.names.index(EVENT)
    groups = [number for number in range(file.num_row_groups) if _may_hold(file, number, place, key)]
    arrow = file.read_row_groups(groups)
    arrow = arrow.filter(compute.equal(arrow.column(EVENT), key))  # pyright: ignore[reportAttributeAccessIssue]
    return arrow if len(arrow) else None


def _may_hold(file: parquet.ParquetFile, group: int, column: int, key: str | int) -> bool:
    """Whether the statistics of a row group allow this event in it."""
    statistics = file.metadata.row_group(group).column(column).statistics
    if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, type(key)):
        return True
    low, high = cast(Any, statistics.min), cast(Any, statistics.max)
    return low <= key <= high


def _event(
    files: EventFiles, name: str, stem: str, path: TablePath, arrow: pyarrow.Table, *, require_truth: bool
) -> Event:
    hits = _table(path, arrow, HIT_COLUMNS)
    if len(hits) == 0:
        raise DataError(f"{path} holds no hits", remedy="remove the event or write its hits")
    hits.require_unique("hit_id")
    particle_id = None
    if TRUTH in arrow.column_names:
        particle_id = _table(path, _without_nulls(arrow), {TRUTH: np.int64})[TRUTH]
    particles_path = files.find(stem + PARTICLES)
    particles = None if particles_path is None else _particles(particles_path, name, stem)
    if require_truth and (particle_id is None or particles is None):
        wanted = f"column {TRUTH}" if particle_id is None else f"{stem}{PARTICLES} beside it"
        raise DataError(f"{path} has no {wanted}", remedy="give events with truth")
    return Event(
        name=name,
        particle_id=particle_id,
        particles=particles,
        pile_up=_pile_up(path, arrow),
        detector=read_detector(files),
        **{column: hits[column] for column in HIT_COLUMNS},
    )


def _particles(path: TablePath, name: str, stem: str) -> Particles:
    with _open(path) as file:
        arrow = _select(file, path, name, stem)
        if arrow is None:  # an event none of whose particles is listed
            arrow = file.schema_arrow.empty_table()
    table = _table(path, arrow, PARTICLE_COLUMNS)
    table.require_unique("particle_id")
    return Particles(**{column: table[column] for column in PARTICLE_COLUMNS})


def _pile_up(path: TablePath, arrow: pyarrow.Table) -> int | None:
    if VERTICES not in arrow.column_names or arrow.column(VERTICES).null_count == len(arrow):
        return None
    values = np.unique(_table(path, arrow, {VERTICES: np.int32})[VERTICES])
    if len(values) != 1 or values[0] < 0:
        raise DataError(
            f"{path}: {VERTICES} is {values[:5].tolist()} in one event", remedy="write one number per event"
        )
    return int(values[0])


def _without_nulls(arrow: pyarrow.Table) -> pyarrow.Table:
    """The column of truth with `UNLABELLED` where it is null."""
    import pyarrow

    column = arrow.column(TRUTH)
    if not pyarrow.types.is_integer(column.type):
        return arrow  # refused by the check of its type
    return pyarrow.table({TRUTH: column.fill_null(UNLABELLED) if column.null_count else column})


def _table(path: TablePath, arrow: pyarrow.Table, columns: Mapping[str, DTypeLike]) -> Table:
    """Check and convert columns; the first wrong value is named with its row (of the event) and column."""
    import pyarrow

    missing = [name for name in columns if arrow.column_names.count(name) != 1]
    if missing:
        raise DataError(
            f"{path}: column {missing[0]} is missing (found: {', '.join(arrow.column_names)[:200]})",
            remedy=f"write the columns {', '.join(columns)}",
        )
    table = Table(path=path, columns={}, unit="row")
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype in columns.items():
        column, wanted = arrow.column(name), np.dtype(dtype)
        kinds = (
            (pyarrow.types.is_integer,) if wanted.kind == "i" else (pyarrow.types.is_integer, pyarrow.types.is_floating)
        )
        if not any(kind(column.type) for kind in kinds):
            raise DataError(f"{path}: column {name} is {column.type}, expected {wanted}", remedy="correct its type")
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy()))
            raise table.fail(row, name, "null", remedy="correct the value or remove the row")
        given = column.to_numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.array(given, dtype=wanted)
        right = values == given if wanted.kind == "i" else np.isfinite(values)
        if not right.all():
            row = int(np.argmin(right))
            reason = f"outside the range of {wanted}" if wanted.kind == "i" else "not finite"
            raise table.fail(row, name, f"{given[row]} is {reason}", remedy="correct the value or remove the row")
        arrays[name] = values
    return Table(path=path, columns=arrays, unit="row")


def _arrow_tables(event: Event) -> dict[str, pyarrow.Table]:
    """Tables of one event by the ending of their file."""
    import pyarrow

    hits: dict[str, Any] = {EVENT: pyarrow.repeat(event.name, len(event))}
    hits |= {name: getattr(event, name) for name in HIT_COLUMNS}
    if event.particle_id is not None:
        hits[TRUTH] = pyarrow.array(event.particle_id, mask=event.particle_id == UNLABELLED)
    if event.pile_up is not None:
        hits[VERTICES] = np.full(len(event), event.pile_up, dtype=np.int32)
    tables = {HITS: pyarrow.table(hits)}
    if event.particles is not None:
        particles: dict[str, Any] = {EVENT: pyarrow.repeat(event.name, len(event.particles))}
        particles |= {name: getattr(event.particles, name) for name in PARTICLE_COLUMNS}
        tables[PARTICLES] = pyarrow.table(particles)
    return tables
