"""Progress of long work: a bar on a terminal, sparse lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from .verbosity import Verbosity, verbosity

Item = TypeVar("Item")
LOG_INTERVAL_SECONDS = 10.0


def progress(iterable: Iterable[Item], *, description: str, total: int | None = None) -> Iterator[Item]:
    """Iterate with progress shown on standard error: a bar on a terminal, lines in a log, nothing where it is quiet.

    Args:
        iterable: What to iterate over.
        description: Short name of the work.
        total: Number of items; taken from `len` where it exists.

    Yields:
        The items, unchanged.

    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    if verbosity() is Verbosity.QUIET:
        yield from iterable
    elif sys.stderr.isatty() and verbosity() is Verbosity.NORMAL:
        yield from _bar(iterable, description=description, total=total)
    else:
        yield from _log_lines(iterable, description=description, total=total)


def _bar(iterable: Iterable[Item], *, description: str, total: int | None) -> Iterator[Item]:
    # Imported here: a serving worker shows no bar and should not wait for it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield from bar.track(iterable, total=total, description=description)


def _log_lines(iterable: Iterable[Item], *, description: str, total: int | None) -> Iterator[Item]:
    of_total = f"/{total}" if total is not None else ""
    interval = 0.0 if verbosity() is Verbosity.VERBOSE else LOG_INTERVAL_SECONDS
    start = last = time.monotonic()
    count = 0
    for count, item in enumerate(iterable, start=1):
        yield item
        now = time.monotonic()
        if now - last >= interval:
            print(f"{description}: {count}{of_total} ({now - start:.0f} s)", file=sys.stderr, flush=True)
            last = now
    print(f"{description}: {count}{of_total} done ({time.monotonic() - start:.1f} s)", file=sys.stderr, flush=True)
