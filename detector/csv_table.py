"""Strict reading of CSV tables: a wrong file is named with its line and column."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core import DataError

if TYPE_CHECKING:
    import pyarrow

INTEGER = re.compile(r"[+-]?[0-9]+")
TablePath = Path | zipfile.Path
"""A file in a folder or a member of a .zip archive."""

UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    UnicodeDecodeError,
    csv.Error,
    zipfile.BadZipFile,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted member of an archive
    KeyError,  # an archive that changed under us
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns of one file.

    Attributes:
        path: The file, for error messages.
        columns: Name to array; all of one length.
        unit: How a place in the file is named: `line` of a CSV file, or `row`, counted from 0.
    """

    path: TablePath
    columns: Mapping[str, NDArray[Any]]
    unit: Literal["line", "row"] = "line"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def fail(self, row: int, column: str, reason: str, *, remedy: str) -> DataError:
        """Make the error for one field.

        Args:
            row: Row of the table, counted from 0.
            column: Column name.
            reason: What is wrong with the field.
            remedy: What to do about it.

        Returns:
            The error, naming file, line (or row) and column.
        """
        place = f"line {_line_of_row(self.path, row)}" if self.unit == "line" else f"row {row}"
        return DataError(f"{self.path}, {place}, column {column}: {reason}", remedy=remedy)

    def require_unique(self, column: str) -> None:
        """Refuse repeated values of an integer column.

        Raises:
            DataError: Two rows share a value; the later one is named.
        """
        values = self.columns[column]
        order = np.argsort(values, kind="stable")
        repeated = np.flatnonzero(values[order][1:] == values[order][:-1])
        if len(repeated):
            row = int(order[repeated + 1].min())
            raise self.fail(row, column, f"{values[row]} occurs twice", remedy="give every row its own id")


def column_names(path: TablePath) -> list[str]:
    """Names in the header of a CSV file.

    Raises:
        DataError: The file cannot be read or is empty.
    """
    with _open_text(path) as stream:
        names = next((row for row in csv.reader(stream) if row), None)
    if names is None:
        raise DataError(f"{path} is empty", remedy="give a CSV file with a header line")
    return names


def read_table(path: TablePath, columns: Mapping[str, DTypeLike]) -> Table:
    """Read columns of a CSV file (plain, or gzip where the name ends in `.gz`; also inside a .zip archive).

    Args:
        path: The file; its first line names the columns, others than those asked for are ignored.
        columns: Column name to integer or float dtype.

    Returns:
        The table.

    Raises:
        DataError: The file cannot be read, a column is missing, a line has another number of fields than the header,
            or a field is empty, not a number of its type, or not finite. File, line and column are named.
    """
    # pyarrow is the fast and strict parser; it is loaded here so that a serving host does without it.
    import pyarrow
    from pyarrow import csv as arrow_csv

    names = column_names(path)
    for name in columns:
        if names.count(name) != 1:
            problem = "is missing" if name not in names else "occurs twice"
            raise DataError(
                f"{path}, line 1: column {name} {problem} (found: {', '.join(names)[:200]})",
                remedy=f"write a header with {','.join(columns)}",
            )
    wide = {name: _wide(np.dtype(dtype)) for name, dtype in columns.items()}
    convert = arrow_csv.ConvertOptions(column_types=wide, include_columns=list(columns))
    try:
        with (
            _open_binary(path) as raw,
            pyarrow.input_stream(raw, compression="gzip" if path.suffix == ".gz" else None) as stream,
        ):
            arrow = arrow_csv.read_csv(stream, convert_options=convert)
    except (pyarrow.ArrowException, *UNREADABLE) as error:
        raise _located(path, columns) or _unreadable(path, error) from error
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype in columns.items():
        wide_values = arrow.column(name).to_numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            values = wide_values.astype(dtype)
        exact = np.array_equal(values, wide_values) if _is_integer(dtype) else bool(np.isfinite(values).all())
        if arrow.column(name).null_count or not exact:
            raise _located(path, columns) or _unreadable(path, ValueError(f"column {name} holds values out of range"))
        arrays[name] = values
    return Table(path=path, columns=arrays)


def write_table(path: Path, columns: Mapping[str, NDArray[Any]], *, compressed: bool) -> None:
    """Write a CSV file; floats get the fewest digits that read back to the same value.

    Args:
        path: The file, written in place.
        columns: Column name to array.
        compressed: Write gzip.
    """
    import pyarrow
    from pyarrow import csv as arrow_csv

    # pyarrow would quote the names in the header, which not every reader of this layout takes.
    options = arrow_csv.WriteOptions(include_header=False, quoting_style="none")
    with (
        path.open("wb") as file,  # pyarrow itself opens only names that are UTF-8
        pyarrow.CompressedOutputStream(file, "gzip") if compressed else pyarrow.PythonFile(file) as stream,
    ):
        stream.write((",".join(columns) + "\n").encode())
        arrow_csv.write_csv(pyarrow.table(dict(columns)), stream, options)


def _open_binary(path: TablePath) -> BinaryIO:
    return cast(BinaryIO, path.open("rb"))


@contextmanager
def _open_text(path: TablePath) -> Iterator[TextIO]:
    try:
        with _open_binary(path) as raw:
            binary = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
            with io.TextIOWrapper(binary, encoding="utf-8", newline="") as stream:
                yield stream
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: TablePath, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return DataError(f"cannot read {path}: {reason}", remedy="give a whole CSV file in TrackML or ACTS layout")


def _data_rows(stream: TextIO) -> Iterator[tuple[int, Sequence[str]]]:
    """Line number and fields of every row after the header; empty lines are skipped."""
    reader = csv.reader(stream)
    rows = ((reader.line_num, row) for row in reader if row)
    next(rows, None)
    yield from rows


def _line_of_row(path: TablePath, row: int) -> int:
    with _open_text(path) as stream:
        return next((line for number, (line, _) in enumerate(_data_rows(stream)) if number == row), row + 2)


def _located(path: TablePath, columns: Mapping[str, DTypeLike]) -> DataError | None:
    """Error for the first wrong field, found with a slow parser; None where it finds nothing wrong."""
    names = column_names(path)
    remedy = "correct the field or remove the line"
    with _open_text(path) as stream:
        for line, row in _data_rows(stream):
            if len(row) != len(names):
                return DataError(f"{path}, line {line}: {len(row)} fields, expected {len(names)}", remedy=remedy)
            for name, dtype in columns.items():
                reason = _problem(row[names.index(name)], np.dtype(dtype))
                if reason is not None:
                    return DataError(f"{path}, line {line}, column {name}: {reason}", remedy=remedy)
    return None


def _wide(dtype: np.dtype) -> pyarrow.DataType:
    import pyarrow

    if not _is_integer(dtype):
        return pyarrow.float64()
    return pyarrow.uint64() if dtype.kind == "u" else pyarrow.int64()


def _is_integer(dtype: DTypeLike) -> bool:
    return np.issubdtype(np.dtype(dtype), np.integer)


def _problem(field: str, dtype: np.dtype) -> str | None:
    """What keeps a field from being a number of this type, None if nothing does."""
    shown = repr(field[:40])
    if _is_integer(dtype):
        if not INTEGER.fullmatch(field):
            return f"{shown} is not an integer"
        if len(field) > 20 or not np.iinfo(dtype).min <= int(field) <= np.iinfo(dtype).max:
            return f"{shown} is outside the range of {dtype}"
        return None
    try:
        value = float(field)
    except ValueError:
        return f"{shown} is not a number"
    with np.errstate(over="ignore"):
        return None if np.isfinite(np.asarray(value).astype(dtype)) else f"{shown} is not finite"
