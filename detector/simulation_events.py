"""What a worker does in a simulation: one event after the other, each from its own seed, as the bytes of its files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core import ToolError
from .event import Event
from .event_files import write_event
from .quiet import quietly
from .simulation_acts import ActsSimulation
from .simulation_gun import GunConfig
from .simulation_helix import simulate_helix_event

DETECTOR_FILE = "detectors.csv.gz"
WHAT, REMEDY = "the simulation", "try generator: helix, or fewer workers"


@dataclass(frozen=True, kw_only=True)
class EventSettings:
    """What events depend on, besides their numbers.

    Attributes:
        generator: `acts` or `helix`.
        seed: Seed of everything random.
        process: Hard process.
        pile_up: Mean number of pile-up collisions.
        eta_max: Largest |eta| of a generated particle.
        pt_min: Smallest transverse momentum of a generated particle, GeV.
        gun: What the gun shoots where the process is one.
    """

    generator: str
    seed: int
    process: str
    pile_up: float
    eta_max: float
    pt_min: float
    gun: GunConfig


class Generator:
    """Makes events in this process; files of a simulator lie in a folder that goes with it.

    Args:
        settings: What to make.

    """

    def __init__(self, settings: EventSettings) -> None:
        self._settings = settings
        self._scratch = tempfile.TemporaryDirectory(prefix="hitfabric-simulate-")
        self._acts: ActsSimulation | None = None
        if settings.generator == "acts":
            with quietly(self._log, what=WHAT, remedy=REMEDY):
                self._acts = ActsSimulation(
                    Path(tempfile.mkdtemp(dir=self._scratch.name)),
                    process=settings.process,
                    pile_up=settings.pile_up,
                    eta_max=settings.eta_max,
                    pt_min=settings.pt_min,
                    gun=settings.gun,
                )

    def event(self, number: int) -> Event:
        """Simulate an event; it depends on the settings and its number alone.

        Raises:
            ToolError: The simulation failed, or the event has no hits.
        """
        name, seed, settings = event_name(number), _event_seed(self._settings.seed, number), self._settings
        if self._acts is None:
            rng = np.random.default_rng(seed)
            event = simulate_helix_event(
                name, rng=rng, pile_up=settings.pile_up, eta_max=settings.eta_max, pt_min=settings.pt_min
            )
        else:
            with quietly(self._log, what=WHAT, remedy=REMEDY):
                event = self._acts.simulate(name, seed=seed)
        if len(event) == 0:
            raise ToolError(f"{event.name} has no hits", remedy="raise pile_up or eta_max, or lower pt_min")
        return event

    def write(self, event: Event, folder: Path, *, with_detector: bool) -> None:
        """Write the files of an event, and the modules where the generator knows them."""
        write_event(event, folder)
        if with_detector and self._acts is not None:
            self._acts.write_detector(folder / DETECTOR_FILE)

    @property
    def _log(self) -> Path:
        return Path(self._scratch.name) / "log.txt"


def make_generator(settings: EventSettings) -> Generator:
    """The context of a worker."""
    return Generator(settings)


@dataclass(frozen=True, kw_only=True)
class MadeEvent:
    """An event made.

    Attributes:
        hits: Number of its hits.
        files: Content by name.
    """

    hits: int
    files: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class MakeEvent:
    """One event to be made.

    Attributes:
        number: Its number.
        with_detector: Whether the modules are wanted too.
    """

    number: int
    with_detector: bool

    @property
    def label(self) -> str:
        """Name of the event."""
        return event_name(self.number)

    def run(self, context: Generator, /) -> MadeEvent:
        """The event's files."""
        event = context.event(self.number)
        with tempfile.TemporaryDirectory(prefix="hitfabric-event-") as folder:
            context.write(event, Path(folder), with_detector=self.with_detector)
            files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
        return MadeEvent(hits=len(event), files=files)


def event_name(number: int) -> str:
    """Name of the event of this number."""
    return f"event{number:09d}"


def _event_seed(seed: int, number: int) -> int:
    """Seed of one event: any non-negative 31-bit number."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
