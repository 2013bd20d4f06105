"""`hitfabric report`: the page of a run directory."""

from __future__ import annotations

from pathlib import Path

from ..core import StrictModel
from ..reports import write_report


class ReportConfig(StrictModel):
    """Configuration of `hitfabric report`.

    Attributes:
        run: Run directory with the files of any of the other commands.
    """

    run: Path = Path("runs/demo")


def report(config: ReportConfig) -> Path:
    """Write `report.html` into the run directory and return its path.

    Raises:
        DataError: No run directory, nothing in it, or a malformed file (named).
    """
    return write_report(config.run)
