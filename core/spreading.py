"""Where a command spreads its work, as it is configured: processes here, a Dask cluster, or one that is started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from .config import StrictModel, load_config
from .dask_clusters import ClusterConfig, connect, start_cluster, wait_for_worker
from .dask_workers import DaskSpread
from .spread import Spread
from .workers import LocalSpread


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
        ToolError: The batch system refuses the jobs, or scheduler or workers have other versions.
    """
    if config.dask is not None:
        with connect(config.dask) as client:
            wait_for_worker(client, seconds=30.0, remedy="start workers, or leave --dask out")
            yield DaskSpread(client)
    elif config.cluster is not None:
        settings = load_config(ClusterConfig, config.cluster)
        with start_cluster(settings, config.cluster) as (client, jobs):
            remedy = "look at the queue and at the jobs' logs (options: log_directory), or raise wait_seconds"
            wait_for_worker(client, seconds=settings.wait_seconds, remedy=remedy)
            yield DaskSpread(client, tend=jobs.tend)
    else:
        yield LocalSpread(jobs=config.jobs)
