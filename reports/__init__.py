"""Reports: one self-contained HTML page with the figures of a run directory.

`records` defines the files that the other rooms write into a run directory, `write_report` draws the page from
whichever of them are there. Nothing is computed here beyond intervals and percentiles, nothing is invented: a file
that is missing is named as not run.
"""

from .page import write_comparison, write_report

__all__ = ["write_comparison", "write_report"]
