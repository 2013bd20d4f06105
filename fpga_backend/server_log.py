"""The server's log: kept over restarts, searched for reasons, and followed for people to read."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

KEPT = 3
REASONS = 3
POLL_SECONDS = 0.2
LINE = re.compile(r"^\S+ (?P<level>[EWI]) \d+ (?P<place>[\w.]+:\d+)\] (?P<text>.*)")
NOISE = re.compile(
    r"CudaDriverHelper|[Uu]nable to allocate pinned|pinned memory pool|cuda memory|CUDA memory pool|libcuda"
    r"|Failed to find (?:GPU|NVIDIA)"
)
"""What the server says on every machine without a GPU."""
READY = re.compile(r"successfully (?P<what>loaded|unloaded) '(?P<model>[^']+)'(?: version (?P<version>\d+))?")
WORKER = re.compile(r"^hitfabric worker: (?P<text>.*)")

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """A line of the log that people want to see.

    Attributes:
        level: How bad it is.
        text: What happened.
    """

    level: Level
    text: str


def read_line(line: str) -> LogEntry | None:
    """What a line of the log says to people; None where it says nothing of interest."""
    if found := WORKER.match(line):
        return LogEntry(level="warning", text=f"worker: {found['text']}")
    found = LINE.match(line)
    if found is None or NOISE.search(line):
        return None
    text = found["text"].strip().strip('"')
    if found["level"] == "E":
        return LogEntry(level="error", text=text)
    if found["level"] == "W":
        return LogEntry(level="warning", text=text)
    if ready := READY.search(text):
        version = f" version {ready['version']}" if ready["version"] else ""
        return LogEntry(level="info", text=f"{ready['model']}{version} {ready['what']}")
    return None


def rotate(log: Path) -> None:
    """Make way for a new log: `log` becomes `log.1` and so on; the oldest of three goes."""
    if not log.exists() or log.stat().st_size == 0:
        return
    for number in range(KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            os.replace(older, log.with_name(f"{log.name}.{number + 1}"))
    os.replace(log, log.with_name(f"{log.name}.1"))


def reason(log: Path, offset: int = 0) -> str:
    """The first errors after a place in the log, or else its last lines, in one line."""
    with log.open("rb") as stream:
        stream.seek(offset)
        text = stream.read().decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    entries = [entry for line in lines if (entry := read_line(line)) is not None]
    errors = [entry.text for entry in entries if entry.level == "error"]
    return " | ".join(errors[:REASONS] or lines[-REASONS:]) or "the log is empty"


class LogFollower:
    """Context manager that reports what appears in a log, from a thread.

    Args:
        log: File; it may not exist yet, and be replaced by another.
        report: Called for every line of interest.
    """

    def __init__(self, log: Path, report: Callable[[LogEntry], None]) -> None:
        self._log = log
        self._report = report
        self._ended = threading.Event()
        self._inode, self._offset, self._rest = 0, 0, b""
        self._thread = threading.Thread(target=self._follow, name="log-follower", daemon=True)

    def __enter__(self) -> Self:
        if self._log.exists():  # what is there is of an earlier server
            status = self._log.stat()
            self._inode, self._offset = status.st_ino, status.st_size
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._read()
        self._read()

    def _read(self) -> None:
        try:
            with self._log.open("rb") as stream:
                inode = os.fstat(stream.fileno()).st_ino
                if inode != self._inode:
                    self._inode, self._offset, self._rest = inode, 0, b""
                stream.seek(self._offset)
                new = stream.read()
        except FileNotFoundError:
            return
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            if (entry := read_line(line.decode(errors="replace"))) is not None:
                self._report(entry)
