"""`hitfabric simulate`: pile-up events in TrackML CSV layout."""

from __future__ import annotations

from pathlib import Path

from ..core import RunDirectory
from ..detector.simulation import SimulationConfig, SimulationResult
from ..detector.simulation import simulate as simulate_events


class SimulateConfig(SimulationConfig):
    """Configuration of `hitfabric simulate`.

    Attributes:
        out: Folder of the events: new, empty, or an earlier simulation.
    """

    out: Path = Path("runs/events")


def simulate(config: SimulateConfig) -> SimulationResult:
    """Simulate events and record how.

    Raises:
        DataError: The folder holds something else.
        ToolError: A package needed is not installed, or the simulation failed.
    """
    result = simulate_events(SimulationConfig(**config.model_dump(exclude={"out"})), config.out)
    RunDirectory(path=config.out).record(command="simulate", config=config, seed=config.seed)
    return result
