"""`hitfabric report`: the page of a run directory."""

from __future__ import annotations

from pathlib import Path

from ..core import StrictModel
from ..reports import write_comparison, write_report


class ReportConfig(StrictModel):
    """Configuration of `hitfabric report`.

    Attributes:
        run: Run directory with the files of any of the other commands.
        other: A second one, to be compared with the first.
    """

    run: Path = Path("runs/demo")
    other: Path | None = None


def report(config: ReportConfig) -> Path:
    """Write `report.html` into the run directory, or `comparison.html` into the second one, and return its path.

    Raises:
        DataError: No run directory, nothing in it, a malformed file (named), or two runs with nothing in common.
    """
    return write_report(config.run) if config.other is None else write_comparison(config.run, config.other)
