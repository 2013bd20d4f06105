"""Events on disk, whatever their format: one loader for TrackML CSV, ACTS CSV, Parquet and graphs.

A collection of events is a folder, a .zip archive, or a Parquet file; an event of it is named by `collection / name`,
as if it were a file of the collection. A collection is of one format; where files of several are mixed, the first of
CSV, Parquet and graphs that is there counts. The formats are described in docs/events.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

from ..core import DataError
from .acts_csv import holds_acts_event, read_acts_event
from .event import HIT_COLUMNS, PARTICLE_COLUMNS, Event
from .event_folder import EventFiles, open_files
from .event_graph import GraphEvents
from .event_parquet import ParquetEvents
from .trackml_csv import read_trackml_event, write_event

__all__ = ["HIT_COLUMNS", "PARTICLE_COLUMNS", "list_events", "read_event", "read_events", "write_event"]


class EventFormat(Protocol):
    """A way in which events are stored."""

    def names(self, files: EventFiles) -> set[str]:
        """Names of the events of this format."""
        ...

    def holds(self, files: EventFiles, name: str) -> bool:
        """Whether there is an event of this name in this format."""
        ...

    def read(self, files: EventFiles, name: str, *, require_truth: bool) -> Event:
        """Read one event."""
        ...


class CsvEvents:
    """Events in the CSV layouts of TrackML and of ACTS, which share the name `<event>-hits.csv`."""

    def names(self, files: EventFiles) -> set[str]:
        """Names of the events."""
        return files.events("hits", "simhits", "measurements", "spacepoint")

    def holds(self, files: EventFiles, name: str) -> bool:
        """Whether there is an event of this name."""
        kinds = ("hits", "simhits", "measurements", "spacepoint")
        return any(files.table(f"{name}-{kind}") is not None for kind in kinds)

    def read(self, files: EventFiles, name: str, *, require_truth: bool) -> Event:
        """Read one event.

        Raises:
            DataError: A file is missing or wrong.
        """
        read = read_acts_event if holds_acts_event(files, name) else read_trackml_event
        return read(files, name, require_truth=require_truth)


FORMATS: tuple[EventFormat, ...] = (CsvEvents(), ParquetEvents(), GraphEvents())


def list_events(location: Path) -> list[Path]:
    """Find the events of a collection.

    Args:
        location: Folder, .zip archive, or Parquet file of events.

    Returns:
        What to give to `read_event` for each event (`location / name`), sorted by name.

    Raises:
        DataError: The collection does not exist, cannot be read, or holds no events.
    """
    location = Path(location)
    files = open_files(location)
    for kind in FORMATS:
        names = kind.names(files)
        if names:
            return [location / name for name in sorted(names)]
    raise DataError(
        f"{location} holds no events",
        remedy="give a folder with files event000000000-hits.csv or .csv.gz, or another format of docs/events.md",
    )


def read_events(
    location: Path,
    limit: int | None = None,
    names: Collection[str] | None = None,
    *,
    require_truth: bool = False,
) -> Iterator[Event]:
    """Read events one after the other, sorted by name.

    Args:
        location: Folder, .zip archive, or Parquet file of events.
        limit: At most this many.
        names: Only these; an event name that is not there is an error.
        require_truth: Refuse events without truth and particle table.

    Yields:
        The events.

    Raises:
        DataError: No such collection or event, or a wrong file (see `read_event`).
    """
    prefixes = list_events(location)
    if names is not None:
        missing = sorted(set(names) - {prefix.name for prefix in prefixes})
        if missing:
            raise DataError(
                f"{location} has no event {missing[0]}",
                remedy=f"choose among {prefixes[0].name} to {prefixes[-1].name}",
            )
        prefixes = [prefix for prefix in prefixes if prefix.name in set(names)]
    for prefix in islice(prefixes, limit):
        yield read_event(prefix, require_truth=require_truth)


def read_event(prefix: Path, *, require_truth: bool = False) -> Event:
    """Read one event.

    Args:
        prefix: Collection and name of the event: the path of its files without `-hits.csv`, for example
            `data/event000009030`, or `data.zip/event000009030`.
        require_truth: Refuse an event without truth and particle table.

    Returns:
        The event; `particle_id`, `particles`, `pile_up` and `detector` are None where the files do not tell.
        Hits that partial truth leaves out are `UNLABELLED`.

    Raises:
        DataError: A file is missing or wrong, a hit id repeats, the event is empty, or truth names a hit that does not
            exist or leaves one out. File, line (or row, or array) and column are named.
    """
    prefix = Path(prefix)
    if not prefix.parent.exists():
        raise DataError(f"{prefix}-hits.csv does not exist (nor .csv.gz)", remedy="give the prefix of an event")
    files = open_files(prefix.parent)
    kind = next((kind for kind in FORMATS if kind.holds(files, prefix.name)), FORMATS[0])
    return kind.read(files, prefix.name, require_truth=require_truth)
