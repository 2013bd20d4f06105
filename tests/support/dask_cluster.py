"""A Dask scheduler and workers as processes of their own, as an operator starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import eventually

TESTS = Path(__file__).resolve().parents[1]


@dataclass(kw_only=True)
class DaskCluster:
    """Processes of a cluster.

    Attributes:
        folder: Where they run: another folder than the caller's, as on other machines.
        processes: Scheduler and workers.
    """

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The scheduler file."""
        return str(self.folder / "scheduler.json")

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `dask <words>`."""
        variables = os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words], cwd=self.folder, env=variables, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def start_worker(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker that nobody replaces."""
        common = ("--no-nanny", "--no-dashboard", "--scheduler-file", self.address)
        return self.start("worker", *common, *(options or ("--nthreads", "1")))

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many are there."""
        from distributed import Client

        with Client(scheduler_file=self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)


@contextmanager
def dask_cluster(folder: Path, *, workers: int, options: Sequence[str] = ()) -> Iterator[DaskCluster]:
    """Run a cluster in a folder."""
    cluster = DaskCluster(folder=folder)
    folder.mkdir(exist_ok=True)
    try:
        cluster.start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", cluster.address
        )
        for _ in range(workers):
            cluster.start_worker(*options)
        assert eventually(Path(cluster.address).exists, seconds=60), (folder / "log").read_text()
        yield cluster
    finally:
        for process in reversed(cluster.processes):
            process.kill()
            process.wait()
