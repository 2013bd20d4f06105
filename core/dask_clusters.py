"""Dask clusters: one that runs is connected to, one of batch jobs is started and kept at its size."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from .config import StrictModel
from .errors import ConfigError, HitfabricWarning, MissingToolError, ServiceError, ToolError
from .verbosity import Verbosity, verbosity

if TYPE_CHECKING:
    from distributed import Client

SYSTEMS = {
    "htcondor": "HTCondorCluster",
    "lsf": "LSFCluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "slurm": "SLURMCluster",
}
CONNECT_SECONDS = 10
LOST_SECONDS = 15.0  # a nanny starts a dead worker of its job again sooner
RETRY_SECONDS = 60.0  # between submissions that fail
SAME = ("python", "hitfabric", "distributed", "numpy")


class ClusterConfig(StrictModel):
    """Workers that dask-jobqueue starts on a batch system (docs/clusters.md).

    Attributes:
        system: The batch system; `local` starts the workers as processes of this machine.
        jobs: Batch jobs that are kept running while the command works.
        wait_seconds: Longest wait for the first worker.
        options: Keyword arguments of dask-jobqueue's class for the system (cores, processes, memory, queue, walltime,
            job_script_prologue, ...), or of `distributed.LocalCluster`. What is not given is taken from dask's own
            configuration files.
    """

    system: Literal["slurm", "htcondor", "pbs", "sge", "lsf", "oar", "moab", "local"]
    jobs: int = Field(default=1, ge=1)
    wait_seconds: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    options: dict[str, Any] = Field(default_factory=dict)


@contextmanager
def connect(where: Any) -> Iterator[Client]:  # noqa: ANN401 - an address, or one of several unrelated classes
    """Connect to a scheduler.

    Args:
        where: Address, scheduler file, or a cluster of this process.

    Raises:
        MissingToolError: Dask is not installed.
        ServiceError: No scheduler answers.
    """
    distributed = _import("distributed")
    try:
        if isinstance(where, str) and where.endswith(".json"):
            where = json.loads(Path(where).read_text(encoding="utf-8"))["address"]
        if isinstance(where, str):
            with ThreadPoolExecutor(1) as threads:  # not here, where a notebook has a loop of its own
                threads.submit(asyncio.run, _ask(distributed, where)).result()
        client = distributed.Client(where, set_as_default=False, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error) or f"no answer within {CONNECT_SECONDS} s"
        raise ServiceError(
            f"no Dask scheduler at {where}: {reason}", remedy="start one (dask scheduler), or correct --dask"
        ) from error
    with client:
        yield client


async def _ask(distributed: Any, address: str) -> None:  # noqa: ANN401 - a module
    """See that a scheduler answers; Dask's client would wait without end for a server of another kind."""
    security = distributed.Security().get_connection_args("client")
    async with distributed.rpc(address, timeout=CONNECT_SECONDS, connection_args=security) as scheduler:
        await asyncio.wait_for(scheduler.identity(), CONNECT_SECONDS)


def wait_for_worker(client: Client, *, seconds: float, remedy: str) -> None:
    """Wait until there is a worker, and see that all that are there are of this environment.

    Raises:
        ServiceError: No worker came.
        ToolError: The scheduler or a worker has other versions.
    """
    if not client.nthreads() and verbosity() is not Verbosity.QUIET:
        print(f"waiting up to {seconds:g} s for the first Dask worker", file=sys.stderr, flush=True)
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError:
        raise ServiceError(f"no Dask worker within {seconds:g} s", remedy=remedy) from None
    found: Any = client.get_versions(packages=["hitfabric"])
    others = {f"worker {address}": versions for address, versions in found["workers"].items()}
    check_versions(found["client"], {"scheduler": found["scheduler"], **others})


def check_versions(here: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare the packages that results depend on, as `Client.get_versions` gives them.

    Args:
        here: Versions of this process.
        others: Those of scheduler and workers, by what they are.

    Raises:
        ToolError: Some differ.
    """
    wanted = _versions(here)
    for who, versions in others.items():
        for name, version in _versions(versions).items():
            if version != wanted[name]:
                has = f"has no {name}" if version is None else f"has {name} {version}"
                raise ToolError(
                    f"the Dask {who} {has}, and this is {wanted[name]}",
                    remedy="start it from the same environment as hitfabric here",
                )


def _versions(found: Mapping[str, Any]) -> dict[str, str | None]:
    packages = found["packages"]
    return {name: ".".join(packages[name].split(".")[:2]) if name == "python" else packages.get(name) for name in SAME}


class BatchCluster:
    """A cluster of batch jobs, kept at its size.

    dask-jobqueue replaces no job of several worker processes that ended, so that this is done here: a job none of whose
    workers has been there for `LOST_SECONDS` is cancelled, and another one submitted.

    Args:
        cluster: The cluster, without workers.
        config: How many jobs of which system.

    """

    def __init__(self, cluster: Any, config: ClusterConfig) -> None:  # noqa: ANN401 - one of several unrelated classes
        self._cluster, self._config = cluster, config
        self._seen: dict[Any, float] = {}  # when a worker of a job was last there
        self._next_try = 0.0

    def submit(self, *, lost: Sequence[Any] = ()) -> None:
        """Submit as many jobs as are missing.

        Args:
            lost: Names of jobs to be cancelled first.

        Raises:
            ToolError: The batch system refuses the jobs.
        """
        running = set(self._cluster.workers) - set(lost)
        try:
            self._cluster.sync(self._settle, lost)
        except (OSError, RuntimeError, ValueError) as error:
            for name in set(self._cluster.worker_spec) - running:  # so that they are submitted when it is tried again
                del self._cluster.worker_spec[name]
                if job := self._cluster.workers.pop(name, None):
                    job.status = _import("distributed").Status.failed  # without which the cluster does not close
            raise ToolError(
                f"{self._config.system} starts no job: {' '.join(str(error).split())}",
                remedy="try its submit command by hand on this machine",
            ) from error

    async def _settle(self, lost: Sequence[Any]) -> None:
        for name in lost:
            if job := self._cluster.workers.pop(name, None):
                await job.close()
        specification = self._cluster.worker_spec
        while len(specification) < self._config.jobs:
            specification.update(self._cluster.new_worker_spec())
        await self._cluster

    def tend(self) -> None:
        """Replace jobs that ended; a submission that fails is told, and tried again later."""
        now = time.monotonic()
        # The scheduler itself, which is here: what the cluster knows of it comes later, and may miss a short life.
        there = {worker.name for worker in list(self._cluster.scheduler.workers.values())}
        for name, job in self._cluster.worker_spec.items():
            workers = {f"{name}{suffix}" for suffix in job["group"]} if "group" in job else {name}
            if workers & there:
                self._seen[name] = now
        lost = [name for name, seen in self._seen.items() if now - seen > LOST_SECONDS]
        if len(self._cluster.workers) - len(lost) >= self._config.jobs or now < self._next_try:
            return
        for name in lost:
            del self._seen[name]
        try:
            self.submit(lost=lost)
        except ToolError as error:
            self._next_try = now + RETRY_SECONDS
            warnings.warn(HitfabricWarning(str(error)), stacklevel=2)


@contextmanager
def start_cluster(config: ClusterConfig, path: Path) -> Iterator[tuple[Client, BatchCluster]]:
    """Start a cluster; its jobs end with it.

    Args:
        config: The cluster.
        path: Where the configuration was read, for messages.

    Yields:
        A client, and the cluster to be tended.

    Raises:
        ConfigError: An option is wrong.
        MissingToolError: Dask or dask-jobqueue is not installed.
        ToolError: The batch system refuses the jobs.
    """
    local = config.system == "local"
    module = _import("distributed" if local else "dask_jobqueue")
    make = module.LocalCluster if local else getattr(module, SYSTEMS[config.system])
    defaults: dict[str, Any] = {"silence_logs": logging.CRITICAL}  # a job that ended is no error of the command
    if local:
        defaults |= {"n_workers": 0, "threads_per_worker": 1}
    try:
        cluster = make(**(defaults | config.options))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"{path}: options: {' '.join(str(error).split())}", remedy=f"see {make.__name__} of {module.__name__}"
        ) from error
    with cluster:
        jobs = BatchCluster(cluster, config)
        jobs.submit()
        with connect(cluster) as client:
            yield client, jobs


def _import(name: str) -> Any:  # noqa: ANN401 - a module
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        module = import_module(name)
    except ImportError as error:
        raise MissingToolError(
            f"{name} cannot be imported: {error}", remedy="run: pip install 'hitfabric[cluster]'"
        ) from error
    if signal.getsignal(signal.SIGINT) is not interrupt:  # dask_jobqueue makes Ctrl-C end the program as a success
        signal.signal(signal.SIGINT, interrupt)
    return module
