"""Making events: configuration, parallel work, and the record of what was made."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ..core import DataError, HitfabricError, StrictModel, ToolError, atomic_directory, progress
from .event import Event
from .event_files import write_event
from .simulation_acts import ActsSimulation, import_acts, require_detector
from .simulation_gun import GunConfig
from .simulation_helix import simulate_helix_event
from .simulation_pythia import find_xmldoc

RECORD = "simulation.json"
DETECTOR_FILE = "detectors.csv.gz"


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


def simulate(config: SimulationConfig, out_directory: Path) -> SimulationResult:
    """Simulate events and write them in TrackML CSV layout, beside the modules and a record of how they were made.

    The same configuration gives the same events whatever the number of workers.

    Args:
        config: What to simulate.
        out_directory: New or empty folder, or an earlier simulation, which is replaced once the new one is complete.

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
    with atomic_directory(out_directory) as folder:
        work = _in_processes(config, numbers, folder) if generator == "acts" else _helix(config, numbers, folder)
        hits = sum(progress(work, description=f"simulate ({generator})", total=config.events))
        seconds = time.monotonic() - start
        record = {"generator": generator, "hits": hits, "config": config.model_dump(mode="json")}
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    names = tuple(out_directory / _name(number) for number in numbers)
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


def _name(number: int) -> str:
    return f"event{number:09d}"


def _event_seed(config: SimulationConfig, number: int) -> int:
    """Seed of one event: any non-negative 31-bit number."""
    return int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0] >> 1)


def _helix(config: SimulationConfig, numbers: Sequence[int], folder: Path) -> Iterator[int]:
    for number in numbers:
        event = simulate_helix_event(
            _name(number),
            rng=np.random.default_rng(_event_seed(config, number)),
            pile_up=config.pile_up,
            eta_max=config.eta_max,
            pt_min=config.pt_min,
        )
        yield _store(event, folder)


def _store(event: Event, folder: Path) -> int:
    if len(event) == 0:
        raise ToolError(f"{event.name} has no hits", remedy="raise pile_up or eta_max, or lower pt_min")
    write_event(event, folder)
    return len(event)


def _in_processes(config: SimulationConfig, numbers: Sequence[int], folder: Path) -> Iterator[int]:
    """Number of hits of each event, in the order in which they are done."""
    workers = min(config.workers or os.cpu_count() or 1, len(numbers))
    with tempfile.TemporaryDirectory(prefix="hitfabric-simulate-") as scratch:
        log = Path(scratch) / "log.txt"
        # Processes are spawned, not forked: ACTS starts threads of its own.
        pool = ProcessPoolExecutor(
            workers,
            multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(config, scratch, str(log)),
        )
        try:
            tasks = [pool.submit(_simulate_one, number, folder) for number in numbers]
            for task in as_completed(tasks):
                yield task.result()
        except HitfabricError:
            raise
        except (BrokenProcessPool, RuntimeError, OSError, ValueError) as error:
            last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            reason = "; ".join([" ".join(str(error).split()), *last])
            raise ToolError(
                f"the simulation failed: {reason}", remedy="try generator: helix, or fewer workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_worker: tuple[SimulationConfig, ActsSimulation | HitfabricError] | None = None


def _start_worker(config: SimulationConfig, scratch: str, log: str) -> None:
    """Start Pythia and ACTS in this process, with what their C++ prints sent to the log."""
    global _worker
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.dup2(descriptor, sys.__stderr__.fileno() if sys.__stderr__ else 2)
    try:
        simulation: ActsSimulation | HitfabricError = ActsSimulation(
            Path(tempfile.mkdtemp(dir=scratch)),
            process=config.process,
            pile_up=config.pile_up,
            eta_max=config.eta_max,
            pt_min=config.pt_min,
            gun=config.gun,
        )
    except HitfabricError as error:
        # An error in an initializer would only say that the pool is broken; the first task reports it instead.
        simulation = error
    _worker = config, simulation


def _simulate_one(number: int, folder: Path) -> int:
    if _worker is None:
        raise RuntimeError("the worker was not started")
    config, simulation = _worker
    if isinstance(simulation, HitfabricError):
        raise simulation
    hits = _store(simulation.simulate(_name(number), seed=_event_seed(config, number)), folder)
    if not (folder / DETECTOR_FILE).exists():
        simulation.write_detector(folder / DETECTOR_FILE)  # another process may do the same: the files are equal
    return hits
