"""Full events: Pythia 8 collisions through the fast simulation of ACTS (Fatras) on its Generic detector.

The Generic detector is the detector of the TrackML challenge. Fatras propagates particles through its material
(multiple scattering, energy loss, conversions) in a 2 T field and gives true hits on modules; a hit's position is then
smeared along both directions of its module by the resolution of a pitch, pitch / sqrt(12).
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core import ToolError, atomic_file
from .acts_csv import BARCODE, particle_ids
from .csv_table import Table, read_table, write_table
from .event import Event, Particles
from .simulation_gun import GunConfig
from .simulation_pythia import Collisions

FIELD_TESLA = 2.0
SMALLEST_MOMENTUM_GEV = 0.04

PIXEL, SHORT_STRIP, LONG_STRIP = (0.0144338, 0.0144338), (0.0230940, 0.346410), (0.0346410, 3.11769)
RESOLUTION_MM = {
    **dict.fromkeys((7, 8, 9), PIXEL),
    **dict.fromkeys((12, 13, 14), SHORT_STRIP),
    **dict.fromkeys((16, 17, 18), LONG_STRIP),
}
"""Standard deviation along the two directions of a module, by volume."""

ROTATION = tuple(f"rot_{axis}{local}" for axis in "xyz" for local in "uv")
MODULE_COLUMNS: dict[str, DTypeLike] = {
    "geometry_id": np.int64,
    **dict.fromkeys(("volume_id", "layer_id", "module_id"), np.int32),
    **dict.fromkeys(ROTATION, np.float64),
}
HIT_COLUMNS: dict[str, DTypeLike] = {
    **dict.fromkeys((*BARCODE, "geometry_id"), np.int64),
    **dict.fromkeys(("tx", "ty", "tz"), np.float64),
}
PARTICLE_COLUMNS: dict[str, DTypeLike] = {
    **dict.fromkeys(BARCODE, np.int64),
    **dict.fromkeys(("vx", "vy", "vz", "px", "py", "pz", "q"), np.float32),
}


class ActsSimulation:
    """Pythia 8 and ACTS, started once and then used for many events.

    Args:
        folder: Scratch folder of this process.
        process: Hard process (see `Collisions`; also for the other arguments).
        pile_up: Mean number of pile-up collisions.
        eta_max: Largest |eta| of a generated particle.
        pt_min: Smallest transverse momentum of a generated particle, GeV.
        gun: What the gun shoots where the process is one.

    Raises:
        ToolError: A wheel is not installed.
    """

    def __init__(
        self, folder: Path, *, process: str, pile_up: float, eta_max: float, pt_min: float, gun: GunConfig
    ) -> None:
        examples = import_acts()
        self._folder = folder
        self._collisions = Collisions(process=process, pile_up=pile_up, eta_max=eta_max, pt_min=pt_min, gun=gun)
        self._detector = examples.GenericDetector(examples.GenericDetector.Config())
        self._geometry = self._detector.trackingGeometry()
        self._modules: Table | None = None

    def simulate(self, name: str, *, seed: int) -> Event:
        """Simulate one event; equal seeds give equal events.

        Args:
            name: Name of the event.
            seed: Seed of everything random in it.

        Returns:
            Event with truth for every hit and the table of particles that made hits, secondaries included.
        """
        collisions, generated = self._collisions.crossing(seed)
        self._write_particles(generated)
        self._run(seed)
        if self._modules is None:
            self._modules = read_table(self._folder / "detectors.csv", MODULE_COLUMNS)
        hits = read_table(self._folder / "event000000000-hits.csv", HIT_COLUMNS)
        particles = read_table(self._folder / "event000000000-particles_simulated.csv", PARTICLE_COLUMNS)
        event = _make_event(name, hits, particles, self._modules, np.random.default_rng([seed, 1]))
        return replace(event, pile_up=collisions)

    def write_detector(self, path: Path) -> None:
        """Write the modules as ACTS describes them to a `.csv.gz` file; at least one event must have been simulated."""
        # Without name and time inside, equal detectors are equal files.
        with atomic_file(path) as temporary:
            temporary.write_bytes(gzip.compress((self._folder / "detectors.csv").read_bytes(), mtime=0))

    def _write_particles(self, columns: dict[str, NDArray[Any]]) -> None:
        zero = np.zeros(len(columns["pdg"]), dtype=np.int64)
        ids = dict(zip(BARCODE, (columns["vertex"], zero, columns["particle"], zero, zero), strict=True))
        kinematics = ("vx", "vy", "vz", "vt", "px", "py", "pz", "m", "q")
        table = ids | {"particle_type": columns["pdg"], "process": zero} | {name: columns[name] for name in kinematics}
        write_table(self._folder / "event000000000-particles.csv", table, compressed=False)

    def _run(self, seed: int) -> None:
        import acts
        from acts import examples
        from acts.examples.simulation import addFatras

        quiet = acts.logging.ERROR
        sequencer = examples.Sequencer(events=1, numThreads=1, logLevel=quiet, trackFpes=False)
        sequencer.addReader(
            examples.CsvParticleReader(
                level=quiet,
                inputDir=str(self._folder),
                inputStem="particles",
                outputParticles="particles_generated_selected",
            )
        )
        addFatras(
            sequencer,
            self._geometry,
            acts.ConstantBField(acts.Vector3(0, 0, FIELD_TESLA * acts.UnitConstants.T)),
            examples.RandomNumbers(seed=seed),
            logLevel=acts.logging.FATAL,
            enableInteractions=True,
            pMin=SMALLEST_MOMENTUM_GEV * acts.UnitConstants.GeV,
            outputDirCsv=str(self._folder),
        )
        if self._modules is None:
            sequencer.addWriter(
                examples.CsvTrackingGeometryWriter(
                    level=quiet,
                    trackingGeometry=self._geometry,
                    outputDir=str(self._folder),
                    writePerEvent=False,
                )
            )
        sequencer.run()


def import_acts() -> Any:  # noqa: ANN401 - a module without types
    """Import `acts.examples`.

    Raises:
        ToolError: pyacts is not installed or does not load.
    """
    try:
        from acts import examples
    except (ImportError, OSError) as error:
        raise ToolError(
            f"pyacts cannot be imported: {error}", remedy="run: pip install 'hitfabric[simulate]'"
        ) from error
    return examples


def require_detector(name: str) -> None:
    """Check that a detector can be simulated.

    Args:
        name: `generic` or `open_data`.

    Raises:
        ToolError: The Open Data Detector was asked for.
    """
    if name == "open_data":
        # Its geometry is a DD4hep description; the wheels of pyacts are built without ACTS' DD4hep plugin.
        raise ToolError(
            "the Open Data Detector needs ACTS with its DD4hep plugin, which the pyacts wheel is built without",
            remedy="use detector: generic, or simulate with ACTS itself and read its CSV files",
        )


def _make_event(name: str, hits: Table, particles: Table, modules: Table, rng: np.random.Generator) -> Event:
    order = np.argsort(modules["geometry_id"])
    module = order[np.searchsorted(modules["geometry_id"], hits["geometry_id"], sorter=order)]
    volume, layer, number = (modules[key][module] for key in ("volume_id", "layer_id", "module_id"))
    rotation = np.stack([modules[key] for key in ROTATION], axis=1).reshape(-1, 3, 2)[module]
    resolution = np.array([RESOLUTION_MM[int(value)] for value in np.unique(volume)])
    sigma = resolution[np.searchsorted(np.unique(volume), volume)]
    true_position = np.stack([hits[key] for key in ("tx", "ty", "tz")], axis=1)
    position = true_position + np.einsum("hij,hj->hi", rotation, sigma * rng.normal(size=sigma.shape))
    place = np.lexsort((position[:, 0], number, layer, volume))
    x, y, z = position[place].T.astype(np.float32)
    particle_id = particle_ids(hits)[place]
    return Event(
        name=name,
        hit_id=np.arange(1, len(place) + 1, dtype=np.int64),
        x=x,
        y=y,
        z=z,
        volume_id=volume[place],
        layer_id=layer[place],
        module_id=number[place],
        particle_id=particle_id,
        particles=_particle_table(particles, particle_id),
    )


def _particle_table(table: Table, particle_id: NDArray[np.int64]) -> Particles:
    """Particles that made hits, with their number of hits."""
    ids = particle_ids(table)
    seen, counts = np.unique(particle_id, return_counts=True)
    rows = np.flatnonzero(np.isin(ids, seen))
    columns = {key: table[key][rows] for key in ("vx", "vy", "vz", "px", "py", "pz")}
    return Particles(
        particle_id=ids[rows],
        q=table["q"][rows].astype(np.int32),
        nhits=counts[np.searchsorted(seen, ids[rows])].astype(np.int32),
        **columns,
    )
