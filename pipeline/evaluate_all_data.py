"""Samples of `hitfabric evaluate --all`: the validation split where its files are, and events simulated afresh."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from ..core import DataError, StrictModel, progress
from ..core.spread import Spread
from ..detector import GraphSample, SimulationConfig, list_events, read_event, read_graphs, simulate
from ..detector.doublets import DoubletCuts, geometric_graph
from ..detector.simulation import RECORD
from .layout import EVENTS

EVENT_FOLDER = "acts_ttbar_pu200"
GRAPH_FOLDER = "trackml_graphs/plus_2GeV"
VALIDATION_EVENTS = range(9030, 9035)
VALIDATION_GRAPHS = range(1060, 1080)
EVENTS_USED_FOR = (
    "no shipped network was trained on them (training: 9000 to 9017; epochs, radius and thresholds: 9018 and 9019), "
    "but the window of event-pixel was widened, and the shares its radius and filter keep raised, after a look at them"
)
GRAPHS_USED_FOR = (
    "no shipped network was trained on them (training: 1000 to 1059), but the best epoch was chosen on them"
)
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where the data lies beside a checkout."""

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


def find_data(path: Path | None) -> Path | None:
    """The data folder: `path`, or the one beside the checkout where it exists.

    Raises:
        DataError: `path` is given and holds neither events nor graphs.
    """
    if path is None:
        return BESIDE if BESIDE.is_dir() else None
    if not path.is_dir():
        raise DataError(f"{path} is not a directory", remedy=f"give a folder that holds {EVENT_FOLDER}")
    if not any((path / name).is_dir() for name in (EVENT_FOLDER, GRAPH_FOLDER)):
        raise DataError(
            f"{path} holds neither {EVENT_FOLDER} nor {GRAPH_FOLDER}", remedy="give the folder that holds one of them"
        )
    return path


def validation_sample(
    data: Path | None,
    fresh: FreshConfig,
    folder: Path,
    *,
    events: int | None,
    graphs: int | None,
    spread: Spread | None = None,
) -> Sample:
    """The validation split; what of it is not there is simulated, and said so.

    Args:
        data: Data folder, None for none.
        fresh: What is simulated instead.
        folder: Where simulated events go.
        events: At most this many events.
        graphs: At most this many graphs.
        spread: Where events are simulated; None takes `fresh.workers` processes.

    Raises:
        DataError: Events or graphs are malformed.
    """
    found = None if data is None else _events_of(data / EVENT_FOLDER, events)
    read = None if data is None else _graphs_of(data / GRAPH_FOLDER, graphs)
    if found is not None and read is not None:
        return Sample(events=found[0], about_events=found[1], graphs=read[0], about_graphs=read[1], simulated=False)
    stand_in = simulated_sample(fresh, folder, "validation", seed=fresh.validation_seed, events=events, spread=spread)
    why = "no data folder" if data is None else f"not in {data.name}"
    chosen, about_events = found or (stand_in.events, f"{stand_in.about_events} ({EVENT_FOLDER}: {why})")
    kept, about_graphs = read or (stand_in.graphs, f"{stand_in.about_graphs} ({GRAPH_FOLDER}: {why})")
    return Sample(events=chosen, about_events=about_events, graphs=kept, about_graphs=about_graphs, simulated=True)


def simulated_sample(
    fresh: FreshConfig, folder: Path, name: str, *, seed: int, events: int | None, spread: Spread | None = None
) -> Sample:
    """Events of a fresh seed, and the sector graphs made from them: doublets of pT > 2 GeV, as the TrackML graphs are.

    Args:
        fresh: How many, of which kind.
        folder: Where they go; those of an earlier run with the same settings are used again.
        name: Name of the sample.
        seed: Seed.
        events: At most this many.
        spread: Where they are simulated; None takes `fresh.workers` processes.
    """
    count = fresh.events if events is None else min(events, fresh.events)
    config = fresh.simulation(seed=seed, events=count, pile_up=fresh.pile_up)
    prefixes, generator = simulate_once(config, folder / EVENTS / name, spread=spread)
    what = f"{_counted(count, f'{generator} event')} simulated with pile-up {fresh.pile_up:g} and seed {seed}"
    graphs = tuple(
        geometric_graph(read_event(prefix, require_truth=True), DoubletCuts())
        for prefix in progress(prefixes, description=f"graphs ({name})")
    )
    return Sample(
        events=prefixes, about_events=what, graphs=graphs, about_graphs=f"doublet graphs of {what}", simulated=True
    )


def simulate_once(
    config: SimulationConfig, folder: Path, *, spread: Spread | None = None
) -> tuple[tuple[Path, ...], str]:
    """Simulate, unless `folder` holds what the same settings gave.

    Returns:
        Prefixes of the events, and the generator used.
    """
    generator = _generator_of(folder, config)
    if generator is not None:
        return tuple(list_events(folder)), generator
    result = simulate(config, folder, spread=spread)
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


def _events_of(folder: Path, limit: int | None) -> tuple[tuple[Path, ...], str] | None:
    """Validation events and what they are; None without the folder."""
    if not folder.is_dir():
        return None
    prefixes = list_events(folder)
    found, known = _split(prefixes, VALIDATION_EVENTS, lambda prefix: prefix.name)
    chosen = tuple(found[:limit])
    names = _range_of([prefix.name for prefix in chosen])
    about = f"{_counted(len(chosen), 'event')} of {EVENT_FOLDER} ({names})"
    return chosen, f"{about}: {EVENTS_USED_FOR}" if known else about


def _graphs_of(folder: Path, limit: int | None) -> tuple[tuple[GraphSample, ...], str] | None:
    """Validation graphs and what they are; None without the folder."""
    if not folder.is_dir():
        return None
    graphs = list(progress(read_graphs(folder), description="reading graphs"))
    found, known = _split(graphs, VALIDATION_GRAPHS, lambda graph: graph.name)
    chosen = tuple(found[:limit])
    about = f"{_counted(len(chosen), 'graph')} of {GRAPH_FOLDER} ({_range_of([graph.name for graph in chosen])})"
    return chosen, f"{about}: {GRAPHS_USED_FOR}" if known else about


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _range_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _split(items: Sequence[Item], numbers: range, name: Callable[[Item], str]) -> tuple[list[Item], bool]:
    """Items of the validation split by the number in their name, and True; without any the last ones, and False."""
    wanted = [item for item in items if _number(name(item)) in numbers]
    return (wanted, True) if wanted else (list(items)[-len(numbers) :], False)


def _number(name: str) -> int:
    found = re.match(r"event0*(\d+)", name)
    return int(found[1]) if found else -1
