"""Where the files of events lie: in a folder, in a .zip archive, or one file by itself."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from pathlib import Path

from ..core import DataError, atomic_file
from .csv_table import UNREADABLE, TablePath, read_table, write_table
from .geometry import DETECTOR_COLUMNS, ROTATION_COLUMNS, Detector

SUFFIXES = (".csv", ".csv.gz")
DETECTORS = "detectors"


class EventFiles(ABC):
    """Files of a collection of events.

    Attributes:
        location: The folder or file, for error messages.
    """

    location: Path

    @abstractmethod
    def names(self) -> list[str]:
        """Names of the files, without folders."""

    @abstractmethod
    def find(self, name: str) -> TablePath | None:
        """The file of this name, None where there is none."""

    @abstractmethod
    def stamp(self, path: TablePath) -> tuple[int, int]:
        """What changes when this file does: time of modification (ns) and size."""

    def table(self, stem: str) -> TablePath | None:
        """The CSV file of this name without `.csv` or `.csv.gz`, None where there is none."""
        found = (self.find(stem + suffix) for suffix in SUFFIXES)
        return next((path for path in found if path is not None), None)

    def events(self, *kinds: str) -> set[str]:
        """Names of the events that have a CSV file of one of these kinds (`<event>-<kind>.csv[.gz]`)."""
        endings = tuple(f"-{kind}{suffix}" for kind in kinds for suffix in SUFFIXES)
        found = (name for name in self.names() if name.endswith(endings) and not name.startswith("."))
        return {name.removesuffix(next(ending for ending in endings if name.endswith(ending))) for name in found}


class Folder(EventFiles):
    """Files of a folder.

    Args:
        location: The folder.
        only: Show only the file of this name; others are still found by name.
    """

    def __init__(self, location: Path, *, only: str | None = None) -> None:
        self.location = location
        self._only = only

    def names(self) -> list[str]:  # noqa: D102 - see EventFiles
        return [path.name for path in self.location.iterdir()] if self._only is None else [self._only]

    def find(self, name: str) -> TablePath | None:  # noqa: D102
        path = self.location / name
        return path if path.is_file() else None

    def stamp(self, path: TablePath) -> tuple[int, int]:  # noqa: D102
        status = Path(str(path)).stat()
        return status.st_mtime_ns, status.st_size


class Archive(EventFiles):
    """Members of a .zip archive, in whatever folders of it.

    Args:
        location: The archive.

    Raises:
        DataError: It cannot be read, or two members have one name.
    """

    def __init__(self, location: Path) -> None:
        self.location = location
        try:
            self._archive = zipfile.ZipFile(location)
        except UNREADABLE as error:
            raise DataError(f"cannot read {location}: {error}", remedy="give a whole .zip archive") from error
        self._members: dict[str, str] = {}
        for member in self._archive.namelist():
            folders, _, name = member.rpartition("/")
            if not name or name.startswith("._") or "__MACOSX" in folders:
                continue
            if name in self._members:
                raise DataError(
                    f"{location} holds {self._members[name]} and {member}", remedy="give one archive per data set"
                )
            self._members[name] = member

    def names(self) -> list[str]:  # noqa: D102
        return list(self._members)

    def find(self, name: str) -> TablePath | None:  # noqa: D102
        return zipfile.Path(self._archive, at=self._members[name]) if name in self._members else None

    def stamp(self, path: TablePath) -> tuple[int, int]:  # noqa: D102 - members change with the archive
        status = self.location.stat()
        return status.st_mtime_ns, status.st_size


def open_files(location: Path) -> EventFiles:
    """Open a folder, a .zip archive, or one Parquet file.

    Raises:
        DataError: There is nothing of the kind.
    """
    if location.is_dir():
        return Folder(location)
    if location.is_file() and location.suffix == ".zip":
        return Archive(location)
    if location.is_file() and location.suffix == ".parquet":
        return Folder(location.parent, only=location.name)
    raise DataError(
        f"{location} is not a directory, nor a .zip or .parquet file", remedy="give a folder of events (docs/events.md)"
    )


def write_detector(detector: Detector, directory: Path) -> Path:
    """Write `detectors.csv.gz` with the columns that are read.

    Args:
        detector: The modules.
        directory: Folder; created where absent.

    Returns:
        Path of the file.
    """
    path = Path(directory) / f"{DETECTORS}.csv.gz"
    columns = {name: getattr(detector, name) for name in ("volume_id", "layer_id", "module_id")}
    columns |= {f"c{axis}": detector.centre[:, number] for number, axis in enumerate("xyz")}
    columns |= {name: detector.rotation[:, *divmod(number, 3)] for number, name in enumerate(ROTATION_COLUMNS)}
    with atomic_file(path) as temporary:
        write_table(temporary, columns, compressed=True)
    return path


_last_detector: dict[tuple[str, tuple[int, int]], Detector] = {}


def read_detector(files: EventFiles) -> Detector | None:
    """Read `detectors.csv[.gz]`, which lists the modules; the last one read is kept in memory.

    Returns:
        The modules, None where there is no such file.

    Raises:
        DataError: The file is wrong; line and column are named.
    """
    path = files.table(DETECTORS)
    if path is None:
        return None
    key = str(path), files.stamp(path)
    if key not in _last_detector:
        table = read_table(path, DETECTOR_COLUMNS)
        detector = Detector.from_columns(table.columns, source=str(path))
        _last_detector.clear()
        _last_detector[key] = detector
    return _last_detector[key]
