"""How much the program says on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum


class Verbosity(IntEnum):
    """How much is said besides results and errors.

    Attributes:
        QUIET: Neither progress nor warnings.
        NORMAL: Warnings and progress, in a log one line every ten seconds.
        VERBOSE: A line of progress for every item, and what a command took.
    """

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_current: ContextVar[Verbosity] = ContextVar("verbosity", default=Verbosity.NORMAL)


def verbosity() -> Verbosity:
    """How much is said now."""
    return _current.get()


@contextmanager
def speaking(level: Verbosity) -> Iterator[None]:
    """Say so much within the block."""
    token = _current.set(level)
    try:
        yield
    finally:
        _current.reset(token)
