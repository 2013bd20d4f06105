"""`training/<network>.csv`: metrics per epoch."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import DataError
from .reading import REMEDY


@dataclass(frozen=True, kw_only=True)
class TrainingCurves:
    """Metrics of one network.

    Attributes:
        network: Name of the network.
        epochs: float64 [rows], ascending.
        columns: Metric -> float64 [rows], NaN where the metric was not computed.
    """

    network: str
    epochs: NDArray[np.float64]
    columns: dict[str, NDArray[np.float64]]


def read_training(folder: Path) -> list[TrainingCurves]:
    """Read every `*.csv` in `folder`, in the order of their names; an absent folder gives an empty list.

    Raises:
        DataError: A file is malformed; the message names file, line and column.
    """
    return [_read_curves(path) for path in sorted(folder.glob("*.csv"))]


def _read_curves(path: Path) -> TrainingCurves:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            lines = [line for line in csv.reader(stream) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}", remedy=REMEDY) from error
    header = [name.strip() for name in lines[0]] if lines else []
    if "epoch" not in header or len(set(header)) != len(header) or len(lines) < 2:
        raise DataError(f"{path}: needs a header of distinct names with epoch, and one row at least", remedy=REMEDY)
    table = np.empty((len(lines) - 1, len(header)), dtype=np.float64)
    for row, values in enumerate(lines[1:]):
        if len(values) != len(header):
            raise DataError(f"{path}: line {row + 2} has {len(values)} values, not {len(header)}", remedy=REMEDY)
        table[row] = [_number(path, row + 2, name, value) for name, value in zip(header, values, strict=True)]
    columns = dict(zip(header, table.T, strict=True))
    epochs = columns.pop("epoch")
    if not np.isfinite(epochs).all() or (np.diff(epochs) <= 0).any():
        raise DataError(f"{path}: epoch must ascend", remedy=REMEDY)
    return TrainingCurves(network=path.stem, epochs=epochs, columns=columns)


def _number(path: Path, line: int, column: str, text: str) -> float:
    if not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{path}: line {line}, column {column}: {text!r} is not a number", remedy=REMEDY) from error
