"""`hitfabric simulate`: pile-up events in TrackML CSV layout."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from ..core import RunDirectory
from ..core.spreading import SpreadConfig, open_spread
from ..detector.simulation import SimulationConfig, SimulationResult
from ..detector.simulation import simulate as simulate_events


class SimulateConfig(SimulationConfig):
    """Configuration of `hitfabric simulate`.

    Attributes:
        out: Folder of the events: new, empty, or an earlier simulation.
        dask: Scheduler of a Dask cluster, in place of `workers`; see `SpreadConfig`.
        cluster: YAML of a batch system, in place of `workers`; see `ClusterConfig`.
    """

    out: Path = Path("runs/events")
    dask: str | None = None
    cluster: Path | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("workers", "dask", "cluster") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given: work goes to one place")
        return self


def simulate(config: SimulateConfig) -> SimulationResult:
    """Simulate events and record how.

    Raises:
        DataError: The folder holds something else.
        ServiceError: No Dask scheduler answers, or no worker comes.
        ToolError: A package needed is not installed, or the simulation failed.
    """
    settings = SimulationConfig(**config.model_dump(exclude={"out", "dask", "cluster"}))
    if config.dask is None and config.cluster is None:
        result = simulate_events(settings, config.out)
    else:
        with open_spread(SpreadConfig(dask=config.dask, cluster=config.cluster)) as spread:
            result = simulate_events(settings, config.out, spread=spread)
    RunDirectory(path=config.out).record(command="simulate", config=config, seed=config.seed)
    return result
