"""Where compiled and downloaded things are kept between runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/hitfabric`, by default `~/.cache/hitfabric`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hitfabric"


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """Hold the cache entry `name`, so that of several processes only one makes it.

    Args:
        name: File name of the entry.

    Yields:
        Path of the entry, which may or may not exist yet.
    """
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f".{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield directory / name
