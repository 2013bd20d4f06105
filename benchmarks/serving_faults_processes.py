"""The server's processes: which they are, what they hold, and how they are hurt."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

WORKER_MODULE = "hitfabric.fpga_backend.worker"
PAGE = os.sysconf("SC_PAGE_SIZE")
SETTLED = 0.2
"""Share of the samples at the start that no growth is fitted to: buffers reach their size meanwhile."""


def worker_models(server: int) -> dict[int, str]:
    """Model of each live worker of a server, by process."""
    found: dict[int, str] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parent = int((directory / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
            if parent != server:
                continue
            words = (directory / "cmdline").read_bytes().decode().split("\0")
            if WORKER_MODULE in words:
                model = Path(words[words.index("--model") + 1])  # <repository>/<name>/<version>/model
                found[int(directory.name)] = model.parents[1].name
    return found


def is_running(process: int) -> bool:
    """Whether a process computes right now."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "R"
    except (OSError, IndexError):
        return False


def resident_bytes(process: int) -> int:
    """Resident memory of a process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def descriptors(process: int) -> int:
    """Open file descriptors of a process; 0 when it is gone."""
    try:
        return len(os.listdir(f"/proc/{process}/fd"))
    except OSError:
        return 0


class Repeated(threading.Thread, ABC):
    """Something done every so many seconds until it is stopped.

    Args:
        seconds: Between two times.
    """

    def __init__(self, *, seconds: float) -> None:
        super().__init__(daemon=True)
        self.seconds = seconds
        self.ended = threading.Event()

    @abstractmethod
    def act(self) -> None:
        """What is done."""

    def run(self) -> None:
        """Act until stopped."""
        while not self.ended.wait(self.seconds):
            self.act()

    def stop(self) -> None:
        """Stop and wait."""
        self.ended.set()
        if self.is_alive():
            self.join()


class Killer(Repeated):
    """Kills a worker every so often, and now and then stops one, for the watchdog to find.

    Which one is left to chance, but one that computes is taken before one that waits: there answers can get lost. One
    that has only just been started comes last, or a busy machine would never be done with starting them.

    Args:
        server: Process of the server.
        seconds: Between two kills.
        spared: Models whose workers are left alone.
        seed: Of the random numbers.
    """

    STOP_EVERY = 7
    GRACE_SECONDS = 2.0

    def __init__(self, *, server: int, seconds: float, spared: Collection[str] = (), seed: int = 0) -> None:
        super().__init__(seconds=seconds)
        self.server = server
        self.spared = spared
        self.rng = np.random.default_rng(seed)
        self.kills = 0
        self.stops = 0
        self._turns = 0
        self._first_seen: dict[int, float] = {}

    def act(self) -> None:
        """Kill one worker, and in some turns stop another."""
        self._turns += 1
        self.kills += self._signal(signal.SIGKILL)
        if self._turns % self.STOP_EVERY == 0:
            self.stops += self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> bool:
        now, models = time.monotonic(), worker_models(self.server)
        self._first_seen = {pid: self._first_seen.get(pid, now) for pid in models}
        victims = [pid for pid, model in sorted(models.items()) if model not in self.spared]
        if not victims:
            return False  # all are being started again
        settled = [pid for pid in victims if now - self._first_seen[pid] >= self.GRACE_SECONDS]
        busy = [pid for pid in settled if is_running(pid)]
        try:
            os.kill(int(self.rng.choice(busy or settled or victims)), number)
        except ProcessLookupError:
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Memory at one time.

    Attributes:
        seconds: Since the watch began.
        server: Resident bytes of the server.
        workers: Resident bytes of all its workers.
        spared: Resident bytes of the workers that nobody kills.
        descriptors: Open files of the server.
    """

    seconds: float
    server: int
    workers: int
    spared: int
    descriptors: int


@dataclass(kw_only=True)
class Memory:
    """Samples of a run.

    Attributes:
        samples: In the order of time.
    """

    samples: list[Sample] = field(default_factory=list)

    def report(self) -> dict[str, dict[str, float]]:
        """Start, end, peak (MB) and growth (MB per hour, a straight line through the settled part) of each column."""
        found: dict[str, dict[str, float]] = {}
        for column in ("server", "workers", "spared"):
            values = [getattr(sample, column) / 1e6 for sample in self.samples]
            found[column] = {
                "start_mb": round(values[0], 2),
                "end_mb": round(values[-1], 2),
                "peak_mb": round(max(values), 2),
                "growth_mb_per_hour": round(self.growth_per_hour(column), 3),
            }
        counts = [sample.descriptors for sample in self.samples]
        found["server_descriptors"] = {"start": counts[0], "end": counts[-1], "peak": max(counts)}
        return found

    def growth_per_hour(self, column: str) -> float:
        """Slope of a straight line through the settled part of a column, MB per hour."""
        settled = self.samples[int(len(self.samples) * SETTLED) :]
        seconds = np.array([sample.seconds for sample in settled])
        if len(settled) < 3:
            return 0.0
        values = np.array([getattr(sample, column) for sample in settled]) / 1e6
        return float(np.polyfit(seconds, values, 1)[0] * 3600)


class Watch(Repeated):
    """Samples the memory of a server and its workers.

    Args:
        server: Process of the server.
        seconds: Between two samples.
        spared: Models whose workers nobody kills.
    """

    def __init__(self, *, server: int, seconds: float = 0.5, spared: Collection[str] = ()) -> None:
        super().__init__(seconds=seconds)
        self.server = server
        self.spared = spared
        self.memory = Memory()
        self._begin = time.monotonic()
        self.act()

    def act(self) -> None:
        """Take a sample."""
        models = worker_models(self.server)
        sizes = {pid: resident_bytes(pid) for pid in models}
        self.memory.samples.append(
            Sample(
                seconds=time.monotonic() - self._begin,
                server=resident_bytes(self.server),
                workers=sum(sizes.values()),
                spared=sum(size for pid, size in sizes.items() if models[pid] in self.spared),
                descriptors=descriptors(self.server),
            )
        )
