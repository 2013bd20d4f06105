"""Where a command spreads its work, as it is configured: processes here, a Dask cluster, or one that is started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from .config import StrictModel, load_config
from .errors import ConfigError, MissingToolError, ServiceError, ToolError
from .spread import Spread
from .workers import LocalSpread

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


class SpreadConfig(StrictModel):
    """Where work is spread; at most one of the three is given.

    Attributes:
        jobs: Worker processes on this machine; None takes one per usable core.
        dask: Scheduler of a Dask cluster: `tcp://host:port`, `tls://host:port`, or its scheduler file (.json).
        cluster: YAML of a `ClusterConfig`: a batch system on which workers are started.
    """

    jobs: int | None = Field(default=None, ge=1)
    dask: str | None = None
    cluster: Path | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in SpreadConfig.model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given: work goes to one place")
        return self

    @property
    def where(self) -> SpreadConfig:
        """These settings alone."""
        return SpreadConfig(jobs=self.jobs, dask=self.dask, cluster=self.cluster)


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
def open_spread(config: SpreadConfig) -> Iterator[Spread]:
    """Open where a command's work goes; a cluster that is started for it ends with it.

    Args:
        config: Where.

    Yields:
        The spread.

    Raises:
        ConfigError: The cluster's YAML is wrong.
        MissingToolError: Dask is not installed.
        ServiceError: No scheduler answers, or no worker comes.
        ToolError: The batch system refuses the jobs.
    """
    if config.dask is not None:
        with _connect(config.dask) as client:
            yield _spread_over(client, wait_seconds=30.0, remedy="start workers, or leave --dask out")
    elif config.cluster is not None:
        settings = load_config(ClusterConfig, config.cluster)
        with _start(settings, config.cluster) as cluster, _connect(cluster) as client:
            remedy = "look at the queue and at the jobs' logs (options: log_directory), or raise wait_seconds"
            yield _spread_over(client, wait_seconds=settings.wait_seconds, remedy=remedy)
    else:
        yield LocalSpread(jobs=config.jobs)


def _spread_over(client: Client, *, wait_seconds: float, remedy: str) -> Spread:
    from .dask_workers import DaskSpread

    try:
        client.wait_for_workers(1, timeout=wait_seconds)
    except TimeoutError:
        raise ServiceError(f"no Dask worker within {wait_seconds:g} s", remedy=remedy) from None
    return DaskSpread(client)


@contextmanager
def _connect(where: Any) -> Iterator[Client]:  # noqa: ANN401 - an address, or one of several unrelated classes
    client_class = _import("distributed").Client
    try:
        if isinstance(where, str) and where.endswith(".json"):
            Path(where).stat()  # a file that is not there would be waited for
            client = client_class(scheduler_file=where, set_as_default=False)
        else:
            client = client_class(where, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ServiceError(
            f"no Dask scheduler at {where}: {error}", remedy="start one (dask scheduler), or correct --dask"
        ) from error
    with client:
        yield client


@contextmanager
def _start(config: ClusterConfig, path: Path) -> Iterator[Any]:
    """Start a cluster; a batch job that ends while the command works is replaced.

    Raises:
        ConfigError: An option is wrong.
        ToolError: The batch system refuses the jobs.
    """
    local = config.system == "local"
    module = _import("distributed" if local else "dask_jobqueue")
    make = module.LocalCluster if local else getattr(module, SYSTEMS[config.system])
    defaults = {"n_workers": 0, "threads_per_worker": 1} if local else {}
    try:
        cluster = make(**(defaults | config.options))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: options: {' '.join(str(error).split())}", remedy=f"see {make.__name__} of {module.__name__}"
        ) from error
    with cluster:
        try:
            scaling = ("minimum", "maximum") if local else ("minimum_jobs", "maximum_jobs")
            cluster.adapt(**dict.fromkeys(scaling, config.jobs))
        except (OSError, RuntimeError) as error:
            raise ToolError(
                f"{config.system} starts no job: {error}", remedy="try its submit command by hand on this machine"
            ) from error
        yield cluster


def _import(name: str) -> Any:  # noqa: ANN401 - a module
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingToolError(
            f"{name} cannot be imported: {error}", remedy="run: pip install 'hitfabric[cluster]'"
        ) from error
