"""`hitfabric convert`: events read in any format, written in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from pydantic import Field

from ..core import DataError, RunDirectory, StrictModel, atomic_directory, progress
from ..detector import Event, list_events, read_event, write_detector, write_event, write_graph, write_parquet
from ..detector.sphenix_graph import is_sphenix_graph, load_arrays, read_sphenix_graph


class ConvertConfig(StrictModel):
    """Configuration of `hitfabric convert`.

    Attributes:
        events: Folder, .zip archive or Parquet file of events.
        out: New or empty folder.
        to: `parquet`: one file of all events; `trackml`: CSV files of each event; `graphs`: the labelled graphs of a
            folder of sPHENIX graphs, in the layout that training reads.
        limit: At most this many events; None converts all.
    """

    events: Path
    out: Path = Path("runs/converted")
    to: Literal["parquet", "trackml", "graphs"] = "parquet"
    limit: int | None = Field(default=None, ge=1)


@dataclass(frozen=True, kw_only=True)
class ConvertResult:
    """What was written.

    Attributes:
        directory: Folder of the events.
        events: Number of events.
        hits: Number of hits of all events.
    """

    directory: Path
    events: int
    hits: int


def convert(config: ConvertConfig) -> ConvertResult:
    """Read events and write them in another format.

    Raises:
        DataError: The folder to write holds something, or an event cannot be read.
    """
    if config.out.exists() and (not config.out.is_dir() or any(config.out.iterdir())):
        raise DataError(f"{config.out} exists and is not empty", remedy="give a new folder")
    prefixes = list(islice(list_events(config.events), config.limit))
    hits = 0
    with atomic_directory(config.out) as folder:
        if config.to == "graphs":
            hits = sum(_write_graph(prefix, folder) for prefix in progress(prefixes, description="converting graphs"))

        def events() -> Iterator[Event]:
            nonlocal hits
            for number, prefix in enumerate(progress(prefixes, description="converting events")):
                event = read_event(prefix)
                hits += len(event)
                if number == 0 and event.detector is not None:
                    write_detector(event.detector, folder)
                yield event

        if config.to == "parquet":
            write_parquet(events(), folder)
        elif config.to == "trackml":
            for event in events():
                write_event(event, folder)
        # Inside: killed between the two, the same command would find a folder that is not empty.
        RunDirectory(path=folder).record(command="convert", config=config)
    return ConvertResult(directory=config.out, events=len(prefixes), hits=hits)


def _write_graph(prefix: Path, folder: Path) -> int:
    """Write one sPHENIX graph in the layout of TrackML's graphs; its number of hits."""
    path = prefix.with_name(f"{prefix.name}.npz")
    if not path.is_file() or not is_sphenix_graph(load_arrays(path)):
        raise DataError(
            f"{prefix} is no sPHENIX graph in a folder",
            remedy="make graphs of events with hitfabric graphs; those of TrackML need no conversion",
        )
    sample = read_sphenix_graph(path)
    write_graph(sample, folder)
    return len(sample.nodes)
