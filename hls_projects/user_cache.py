"""The user's cache folder, and locks between the processes that fill it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def user_cache(name: str) -> Path:
    """`$XDG_CACHE_HOME/hitfabric/<name>`, or the same below `~/.cache`; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hitfabric" / name


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, made where it is not there, against all other processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
