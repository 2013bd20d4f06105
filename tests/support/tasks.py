"""Tasks for worker processes, importable from them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hitfabric.core import GraphError


def make_offset(offset: int) -> int:
    """Context of the workers."""
    return offset


@dataclass(frozen=True, kw_only=True)
class Square:
    """Squares a number, and leaves a line with its process in a file."""

    value: int
    log: Path | None = None
    label: str = "squaring"

    def run(self, context: int) -> int:
        """The square plus the context."""
        if self.log is not None:
            with self.log.open("a") as stream:
                stream.write(f"{self.value} {os.getpid()}\n")
        print("noise of a library")
        return self.value**2 + context


@dataclass(frozen=True, kw_only=True)
class Killed:
    """Kills its own process as the kernel does when memory runs out: the first time, or every time."""

    marker: Path
    always: bool = False
    label: str = "a greedy task"

    def run(self, context: int) -> str:
        """Survives once the marker is there."""
        if self.always or not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "survived"


class OddError(Exception):
    """An exception that pickle cannot rebuild."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"odd {one} and {two}")


@dataclass(frozen=True, kw_only=True)
class Failing:
    """Raises."""

    odd: bool = False
    lacking: str | None = None
    label: str = "a failing task"

    def run(self, context: int) -> None:
        """Never returns."""
        if self.lacking is not None:
            import_module(self.lacking)
        if self.odd:
            raise OddError(1, 2)
        raise GraphError("the graph is wrong", remedy="correct it")


def make_logged(argument: tuple[int, Path]) -> int:
    """Context of the workers, which leaves a line with its process in a file."""
    offset, log = argument
    with log.open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    return offset


class Farewell:
    """A context that, as its worker ends, signals the process and leaves a mark."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        self.marker.touch()


def make_late(marker: Path) -> Farewell:
    """Context whose worker is signalled when it has ended."""
    return Farewell(marker)


@dataclass(frozen=True, kw_only=True)
class Late:
    """Names the mark that its worker leaves."""

    label: str = "a late task"

    def run(self, context: Farewell) -> Path:
        """The mark."""
        return context.marker
