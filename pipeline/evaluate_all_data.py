"""Samples of `hitfabric evaluate --all`: the validation split where its files are, and events simulated afresh."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from ..core import DataError, StrictModel, progress
from ..detector import Event, GraphSample, SimulationConfig, list_events, read_event, read_graphs, simulate
from ..detector.doublets import DoubletCuts, geometric_graph
from ..detector.simulation import RECORD
from .layout import EVENTS

EVENT_FOLDER = "acts_ttbar_pu200"
GRAPH_FOLDER = "trackml_graphs/plus_2GeV"
VALIDATION_EVENTS = range(9030, 9035)
VALIDATION_GRAPHS = range(1060, 1080)
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where the data lies beside a checkout; a training run must not have used its validation events."""

MakeGraph = Callable[[Event], GraphSample]
Item = TypeVar("Item")


class FreshConfig(StrictModel):
    """Events simulated for the evaluation.

    Attributes:
        events: Number of events of each sample.
        pile_up: Mean number of pile-up collisions.
        generator: As `hitfabric simulate` takes it; what is used is said in the result.
        test_seed: Seed of the test sample; no training may have used it.
        validation_seed: Seed of what stands in for the validation split where its files are absent.
        scan_pile_up: Further pile-ups, for efficiency against pile-up; none leaves the figure to the test sample.
        scan_events: Events at each of them.
        workers: Processes of the simulation; None takes one per core.
    """

    events: int = Field(default=5, ge=1)
    pile_up: float = Field(default=200.0, ge=0)
    generator: str = Field(default="auto", pattern="^(auto|acts|helix)$")
    test_seed: int = Field(default=90_210_004, ge=0)
    validation_seed: int = Field(default=90_210_005, ge=0)
    scan_pile_up: tuple[float, ...] = (50.0, 100.0, 150.0)
    scan_events: int = Field(default=2, ge=1)
    workers: int | None = Field(default=None, ge=1)

    def simulation(self, *, seed: int, events: int, pile_up: float) -> SimulationConfig:
        """What to simulate, for one sample."""
        return SimulationConfig.model_validate(
            {
                "events": events,
                "pile_up": pile_up,
                "seed": seed,
                "generator": self.generator,
                "workers": self.workers,
            }
        )


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Events and sector graphs of one split.

    Attributes:
        events: Prefixes of the events.
        about_events: What they are, in words.
        graphs: Graphs of the sector workload.
        about_graphs: What they are, in words.
        simulated: Whether any of it was simulated here.
    """

    events: tuple[Path, ...]
    about_events: str
    graphs: tuple[GraphSample, ...]
    about_graphs: str
    simulated: bool

    def describe(self) -> dict[str, object]:
        """The same as JSON values."""
        return {
            "events": self.about_events,
            "event_names": [prefix.name for prefix in self.events],
            "graphs": self.about_graphs,
            "graph_names": [graph.name for graph in self.graphs],
            "simulated": self.simulated,
        }


def sector_graph(event: Event) -> GraphSample:
    """Graph of the sector workload of an event: geometric doublets of pT > 2 GeV, as the TrackML graphs have them."""
    return geometric_graph(event, DoubletCuts())


def find_data(path: Path | None) -> Path | None:
    """The data folder: `path`, or the one beside the checkout where it exists.

    Raises:
        DataError: `path` is given and is no folder.
    """
    if path is not None:
        if not path.is_dir():
            raise DataError(f"{path} is not a directory", remedy=f"give a folder that holds {EVENT_FOLDER}")
        return path
    return BESIDE if BESIDE.is_dir() else None


def validation_sample(
    data: Path | None,
    fresh: FreshConfig,
    folder: Path,
    *,
    events: int | None,
    graphs: int | None,
    make_graph: MakeGraph,
) -> Sample:
    """The validation split; what of it is not there is simulated, and said so.

    Args:
        data: Data folder, None for none.
        fresh: What is simulated instead.
        folder: Where simulated events go.
        events: At most this many events.
        graphs: At most this many graphs.
        make_graph: Makes the sector graph of a simulated event.
    """
    event_folder = data / EVENT_FOLDER if data is not None else None
    graph_folder = data / GRAPH_FOLDER if data is not None else None
    has_events = event_folder is not None and event_folder.is_dir()
    has_graphs = graph_folder is not None and graph_folder.is_dir()
    stand_in = None
    if not has_events or not has_graphs:
        stand_in = simulated_sample(
            fresh, folder, "validation", seed=fresh.validation_seed, events=events, make_graph=make_graph
        )
        why = "no data folder" if data is None else f"not in {data.name}"
        stand_in = replace(
            stand_in,
            about_events=f"{stand_in.about_events} ({EVENT_FOLDER}: {why})",
            about_graphs=f"{stand_in.about_graphs} ({GRAPH_FOLDER}: {why})",
        )
    if stand_in is not None and not has_events and not has_graphs:
        return stand_in
    prefixes, about_events = (), ""
    found: tuple[GraphSample, ...] = ()
    about_graphs = ""
    if has_events:
        assert event_folder is not None
        prefixes = tuple(_split(list_events(event_folder), VALIDATION_EVENTS, lambda prefix: prefix.name)[:events])
        about_events = f"{len(prefixes)} events of {EVENT_FOLDER} that no training uses"
    elif stand_in is not None:
        prefixes, about_events = stand_in.events, stand_in.about_events
    if has_graphs:
        assert graph_folder is not None
        samples = progress(list(read_graphs(graph_folder)), description="reading graphs")
        found = tuple(_split(list(samples), VALIDATION_GRAPHS, lambda graph: graph.name)[:graphs])
        about_graphs = f"{len(found)} graphs of {GRAPH_FOLDER} that no training learns from"
    elif stand_in is not None:
        found, about_graphs = stand_in.graphs, stand_in.about_graphs
    return Sample(
        events=prefixes,
        about_events=about_events,
        graphs=found,
        about_graphs=about_graphs,
        simulated=stand_in is not None,
    )


def simulated_sample(
    fresh: FreshConfig, folder: Path, name: str, *, seed: int, events: int | None, make_graph: MakeGraph
) -> Sample:
    """Events of a fresh seed, and the sector graphs made from them.

    Args:
        fresh: How many, of which kind.
        folder: Where they go; those of an earlier run with the same settings are used again.
        name: Name of the sample.
        seed: Seed.
        events: At most this many.
        make_graph: Makes the sector graph of an event.
    """
    count = fresh.events if events is None else min(events, fresh.events)
    config = fresh.simulation(seed=seed, events=count, pile_up=fresh.pile_up)
    prefixes, generator = simulate_once(config, folder / EVENTS / name)
    what = f"{count} {generator} events simulated with pile-up {fresh.pile_up:g} and seed {seed}"
    graphs = tuple(
        make_graph(read_event(prefix, require_truth=True))
        for prefix in progress(prefixes, description=f"graphs ({name})")
    )
    return Sample(
        events=prefixes, about_events=what, graphs=graphs, about_graphs=f"sector graphs of {what}", simulated=True
    )


def simulate_once(config: SimulationConfig, folder: Path) -> tuple[tuple[Path, ...], str]:
    """Simulate, unless `folder` holds what the same settings gave.

    Returns:
        Prefixes of the events, and the generator used.
    """
    generator = _generator_of(folder, config)
    if generator is not None:
        return tuple(list_events(folder)), generator
    result = simulate(config, folder)
    return result.events, result.generator


def _generator_of(folder: Path, config: SimulationConfig) -> str | None:
    """Generator of the events in `folder` if the same settings made them, whatever the number of workers."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        earlier = SimulationConfig.model_validate(record["config"])
        generator = str(record["generator"])
    except (ValueError, KeyError, TypeError, ValidationError):
        return None
    same = earlier.model_copy(update={"workers": None}) == config.model_copy(update={"workers": None})
    return generator if same and config.generator in ("auto", generator) else None


def _split(items: Sequence[Item], numbers: range, name: Callable[[Item], str]) -> list[Item]:
    """Items of the validation split, by the number in their name; of a folder without them, the last ones."""
    wanted = [item for item in items if _number(name(item)) in numbers]
    return wanted or list(items)[-len(numbers) :]


def _number(name: str) -> int:
    found = re.match(r"event0*(\d+)", name)
    return int(found[1]) if found else -1
