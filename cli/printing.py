"""What commands print: one table, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..core import Verbosity, verbosity

WIDEST = 1000


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print `value` as JSON on standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, prose: bool = False, whole: bool = False
) -> None:
    """Print a table on standard output; every column but the first is right-aligned, or none where it is prose.

    A table wider than the terminal has its cells wrapped or cut; a `whole` one gets lines as long as it takes.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, name in enumerate(columns):
        # A name to copy, such as a module of Python, is broken rather than cut.
        table.add_column(
            name, justify="left" if prose or number == 0 else "right", overflow="fold" if prose else "ellipsis"
        )
    for row in rows:
        table.add_row(*(escape(_text(value)) for value in row))
    console = Console()
    needed = console.measure(table, options=console.options.update(max_width=WIDEST)).maximum if whole else 0
    Console(width=max(console.width, needed)).print(table)


def print_pairs(title: str, pairs: Mapping[str, object]) -> None:
    """Print names and values as a table."""
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    for name, value in pairs.items():
        table.add_row(name, _text(value))
    Console().print(table)


def print_warning(text: str) -> None:
    """Print one line `warning: ...` on standard error, unless it is to be quiet."""
    if verbosity() is not Verbosity.QUIET:
        sys.stderr.write(f"warning: {' '.join(text.split())}\n")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value)
