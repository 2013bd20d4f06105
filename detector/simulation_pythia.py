"""Proton collisions from Pythia 8: one hard collision (or a gun) and pile-up, as particles at production.

Pythia itself comes in the `chromo` wheel, which lacks the data files (`xmldoc`) that it reads when it starts; they come
in the `pythia8mc` wheel of the same Pythia version.
"""

from __future__ import annotations

import os
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, ToolError
from .simulation_gun import GunConfig, shoot

XMLDOC_VARIABLE = "PYTHIA8_XMLDOC"
BEAM_SPOT_MM = (0.0125, 0.0125, 5.5)
"""Standard deviations of the collision points, as in the TrackML challenge."""

BEAMS = ("Print:quiet = on", "Beams:idA = 2212", "Beams:idB = 2212", "Beams:eCM = 14000.", "Random:setSeed = on")
HARD_PROCESSES: dict[str, tuple[str, ...]] = {
    "ttbar": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"),
    "zmumu": ("WeakSingleBoson:ffbar2gmZ = on", "23:onMode = off", "23:onIfAny = 13", "PhaseSpace:mHatMin = 60."),
    "dijet": ("HardQCD:all = on", "PhaseSpace:pTHatMin = 50."),
    "bbbar": ("HardQCD:hardbbbar = on", "PhaseSpace:pTHatMin = 20."),
}
"""Settings of Pythia for each hard process; masses and transverse momenta in GeV."""
PILE_UP_PROCESS = ("SoftQCD:all = on",)
MINIMUM_BIAS, GUN = "minimum_bias", "gun"
"""Two more: one more collision like those of pile-up, and no collision but particles from a gun."""
PHOTON = 22
FINAL_STATE = 1
LARGEST_SEED = 900_000_000
"""Pythia's own limit."""


def find_xmldoc() -> Path:
    """Find Pythia's data files: the folder named by `PYTHIA8_XMLDOC`, else the one installed by the `pythia8mc` wheel.

    Raises:
        ConfigError: The variable names another folder.
        ToolError: There is neither.
    """
    given = os.environ.get(XMLDOC_VARIABLE)
    if given is not None:
        if not (Path(given) / "Index.xml").is_file():
            raise ConfigError(
                f"{XMLDOC_VARIABLE} is {given}, which has no Index.xml",
                remedy="name Pythia's xmldoc folder, or unset it",
            )
        return Path(given)
    try:
        files = metadata.files("pythia8mc") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.parts[-2:] == ("xmldoc", "Index.xml"):
            return Path(str(file.locate())).resolve().parent
    raise ToolError("the data files of Pythia 8 were not found", remedy="run: pip install 'hitfabric[simulate]'")


class Collisions:
    """Generates bunch crossings; equal seeds give equal crossings, whatever was generated before.

    Args:
        process: Hard process: a key of `HARD_PROCESSES`, `MINIMUM_BIAS` or `GUN`.
        pile_up: Mean number of pile-up collisions; their number is Poisson distributed.
        eta_max: Largest |eta| of a particle.
        pt_min: Smallest transverse momentum of a particle from a collision, GeV.
        gun: What the gun shoots where the process is `GUN`.

    Raises:
        ToolError: Pythia is not installed or does not start.
    """

    def __init__(self, *, process: str, pile_up: float, eta_max: float, pt_min: float, gun: GunConfig) -> None:
        self._gun = gun if process == GUN else None
        self._pile_up = pile_up
        self._eta_max = eta_max
        self._pt_min = pt_min
        self._soft = self._hard = None
        if process == GUN and pile_up == 0:
            return
        xmldoc = find_xmldoc()
        # Starting the pile-up generator takes seconds, so it is done once. Its stream of random numbers is set anew
        # for every crossing, to the state of an idle generator that starts in a moment with any seed.
        self._seeder = _start(xmldoc, ("ProcessLevel:all = off",))
        if pile_up > 0 or process == MINIMUM_BIAS:
            self._soft = _start(xmldoc, PILE_UP_PROCESS)
        if process != GUN:
            self._hard = self._soft if process == MINIMUM_BIAS else _start(xmldoc, HARD_PROCESSES[process])

    def crossing(self, seed: int) -> tuple[int, dict[str, NDArray[Any]]]:
        """Generate one bunch crossing.

        Args:
            seed: Non-negative seed.

        Returns:
            Number of collisions (the hard one, or the gun, included), and columns, one entry per charged particle or
            photon: `vertex` and `particle` (from 1, unique together), `pdg`, `q` (e), `vx`, `vy`, `vz`, `vt` (mm),
            `px`, `py`, `pz`, `m` (GeV).
        """
        rng = np.random.default_rng([seed, 0])
        hard_seed, soft_seed = (int(value) for value in rng.integers(1, LARGEST_SEED, size=2))
        if self._gun is not None:
            tables = [_moved(shoot(self._gun, eta_max=self._eta_max, rng=rng), 1, rng)]
        else:
            self._reseed(self._hard, hard_seed)
            tables = [self._collision(self._hard, 1, rng)]
        if self._pile_up > 0:
            self._reseed(self._soft, soft_seed)
            tables += [self._collision(self._soft, 2 + number, rng) for number in range(rng.poisson(self._pile_up))]
        return len(tables), {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}

    def _reseed(self, generator: Any, seed: int) -> None:  # noqa: ANN401 - chromo's Pythia carries no types
        self._seeder.readString(f"Random:seed = {seed}")
        self._seeder.init()
        generator.setRndmState(self._seeder.getRndmState())

    def _collision(self, generator: Any, vertex: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:  # noqa: ANN401
        while not generator.next():
            pass
        event = generator.event
        charge, pdg = np.array(generator.charge()), np.array(event.pid())
        px, py, pz = (np.array(values) for values in (event.px(), event.py(), event.pz()))
        pt = np.hypot(px, py)
        # Photons are kept because they convert in the material.
        chosen = (np.array(event.status()) == FINAL_STATE) & ((charge != 0) | (pdg == PHOTON)) & (pt > self._pt_min)
        chosen &= np.abs(np.arcsinh(pz / np.maximum(pt, 1e-9))) < self._eta_max
        columns = {"pdg": pdg, "q": charge, "px": px, "py": py, "pz": pz, "m": np.array(event.m())}
        columns |= {name: np.array(getattr(event, name)()) for name in ("vx", "vy", "vz", "vt")}
        return _moved({name: values[chosen] for name, values in columns.items()}, vertex, rng)


def _moved(columns: dict[str, NDArray[Any]], vertex: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Number the particles of a collision, and move it to a point drawn from the beam spot."""
    spot = rng.normal(0.0, BEAM_SPOT_MM)
    moved = {f"v{axis}": columns[f"v{axis}"] + shift for axis, shift in zip("xyz", spot, strict=True)}
    count = len(columns["pdg"])
    return {"vertex": np.full(count, vertex), "particle": np.arange(1, count + 1)} | columns | moved


def _start(xmldoc: Path, settings: tuple[str, ...]) -> Any:  # noqa: ANN401 - chromo's Pythia carries no types
    try:
        # The event loop of chromo's public interface builds objects for every collision; its Pythia is used directly.
        pythia = import_module("chromo.models._pythia8")
    except ImportError as error:
        raise ToolError(
            f"chromo cannot be imported: {error}", remedy="run: pip install 'hitfabric[simulate]'"
        ) from error
    try:
        generator = pythia.Pythia(str(xmldoc), False)
        accepted = all(generator.readString(line) for line in (*BEAMS, "Random:seed = 1", *settings))
        started = accepted and generator.init()
    except RuntimeError as error:
        raise ToolError(f"Pythia 8 does not start: {error}", remedy=f"check {XMLDOC_VARIABLE}") from error
    if not started:
        raise ToolError(f"Pythia 8 does not start with {xmldoc}", remedy="install chromo and pythia8mc of one version")
    return generator
