"""Training curves as the report reads them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core import atomic_file

TEXT_COLUMNS = ("phase",)


def write_curves(rows: Sequence[Mapping[str, float | int | str]], path: Path) -> None:
    """Write the metrics of a training as CSV: numbers only, epochs counted through both phases.

    Args:
        rows: One mapping per epoch, float phase first; each phase counts its epochs from 1.
        path: File to write, whole or not at all.
    """
    columns = ["epoch", *(name for name in dict.fromkeys(key for row in rows for key in row) if name != "epoch")]
    columns = [name for name in columns if name not in TEXT_COLUMNS]
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        for number, row in enumerate(rows, start=1):
            writer.writerow({**row, "epoch": number})
