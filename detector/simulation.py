"""Making events: configuration, parallel work, and the record of what was made."""

from __future__ import annotations

import json
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ..core import DataError, StrictModel, ToolError, atomic_directory, progress
from ..core.spread import Spread
from ..core.workers import LocalSpread
from .simulation_acts import import_acts, require_detector
from .simulation_events import EventSettings, MakeEvent, event_name, make_generator
from .simulation_gun import GunConfig
from .simulation_pythia import find_xmldoc

RECORD = "simulation.json"


class SimulationConfig(StrictModel):
    """What to simulate.

    Attributes:
        events: Number of events.
        first_event: Number of the first event; events are named `event` and nine digits.
        pile_up: Mean number of pile-up collisions per event.
        seed: Seed of everything random; an event depends on it and on the event's number alone.
        eta_max: Largest |eta| of a generated particle.
        pt_min: Smallest transverse momentum of a generated particle, GeV.
        process: Hard process of Pythia 8 at 14 TeV: `ttbar`, `zmumu` (Z or photon to muons above 60 GeV), `dijet`
            (pT above 50 GeV), `bbbar` (pT above 20 GeV), `minimum_bias`; or `gun`: no collision, but particles from
            one point.
        gun: What the gun shoots where that is the process.
        detector: `generic`, the detector of the TrackML challenge. The Open Data Detector (`open_data`) is refused:
            the pyacts wheel does not carry it.
        generator: `acts`: Pythia 8 and ACTS Fatras on the whole Generic detector. `helix`: ideal helices through pixel
            layers, with a rough stand-in for ttbar. `auto`: `acts`, or with a warning `helix` where the wheels cannot
            be imported.
        workers: Number of processes; None takes one per core.
    """

    events: int = Field(default=10, ge=1, le=100_000)
    first_event: int = Field(default=0, ge=0, le=999_000_000)
    pile_up: float = Field(default=200.0, ge=0, le=1000, allow_inf_nan=False)
    seed: int = Field(default=1, ge=0, lt=2**63)
    eta_max: float = Field(default=4.0, gt=0, le=10, allow_inf_nan=False)
    pt_min: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    process: Literal["ttbar", "zmumu", "dijet", "bbbar", "minimum_bias", "gun"] = "ttbar"
    gun: GunConfig = GunConfig()
    detector: Literal["generic", "open_data"] = "generic"
    generator: Literal["acts", "helix", "auto"] = "auto"
    workers: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _helix_has_one_process(self) -> SimulationConfig:
        if self.generator == "helix" and self.process != "ttbar":
            raise ValueError(f"generator helix has no process {self.process}, only a stand-in for ttbar")
        return self


@dataclass(frozen=True, kw_only=True)
class SimulationResult:
    """What was simulated.

    Attributes:
        directory: Folder of the events, of `simulation.json` and, from ACTS, of `detectors.csv.gz`.
        generator: `acts` or `helix`.
        events: Prefix of each event, sorted.
        hits: Number of hits of all events.
        seconds: Time taken.
    """

    directory: Path
    generator: str
    events: tuple[Path, ...]
    hits: int
    seconds: float


def simulate(config: SimulationConfig, out_directory: Path, *, spread: Spread | None = None) -> SimulationResult:
    """Simulate events and write them in TrackML CSV layout, beside the modules and a record of how they were made.

    The same configuration gives the same events whatever the number of workers, and wherever they are: what they make
    travels back as the bytes of files, so that they need not see `out_directory`.

    Args:
        config: What to simulate.
        out_directory: New or empty folder, or an earlier simulation, which is replaced once the new one is complete.
        spread: Where it is done; None takes `config.workers` processes on this machine.

    Returns:
        What was made.

    Raises:
        DataError: The folder holds something else.
        ToolError: A wheel needed is not installed, or the simulation failed.
    """
    out_directory = Path(out_directory)
    if out_directory.exists() and not _replaceable(out_directory):
        raise DataError(f"{out_directory} exists and holds other things", remedy="give a new folder")
    require_detector(config.detector)
    generator = _choose(config)
    start = time.monotonic()
    numbers = range(config.first_event, config.first_event + config.events)
    # Ideal helices take less time than a process takes to start.
    place = spread or LocalSpread(jobs=1 if generator == "helix" else config.workers)
    tasks = [MakeEvent(number=number, with_detector=number == config.first_event) for number in numbers]
    hits = 0
    with (
        atomic_directory(out_directory) as folder,
        place.workers(
            make_generator, _settings(config, generator), at_most=len(tasks), apart=generator == "acts"
        ) as workers,
    ):
        found = progress(workers.run(tasks), description=f"simulate ({generator})", total=len(tasks))
        for _, made in found:
            hits += made.hits
            for name, content in made.files.items():
                (folder / name).write_bytes(content)
        seconds = time.monotonic() - start
        record = {"generator": generator, "hits": hits, "config": config.model_dump(mode="json")}
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    names = tuple(out_directory / event_name(number) for number in numbers)
    return SimulationResult(directory=out_directory, generator=generator, events=names, hits=hits, seconds=seconds)


def _replaceable(directory: Path) -> bool:
    return directory.is_dir() and ((directory / RECORD).is_file() or not any(directory.iterdir()))


def _choose(config: SimulationConfig) -> str:
    if config.generator == "helix":
        return config.generator
    try:
        import_acts()
        find_xmldoc()
        import_module("chromo.models._pythia8")
    except (ToolError, ImportError) as error:
        if config.generator == "acts" or config.process != "ttbar":
            if isinstance(error, ToolError):
                raise
            raise ToolError(
                f"chromo cannot be imported: {error}", remedy="run: pip install 'hitfabric[simulate]'"
            ) from error
        warnings.warn(
            f"Pythia 8 and ACTS are not usable ({error}): events come from the small helix simulation instead",
            stacklevel=3,
        )
        return "helix"
    return "acts"


def _settings(config: SimulationConfig, generator: str) -> EventSettings:
    return EventSettings(
        generator=generator,
        seed=config.seed,
        process=config.process,
        pile_up=config.pile_up,
        eta_max=config.eta_max,
        pt_min=config.pt_min,
        gun=config.gun,
    )
