"""Events of your own: arrays of hits become an Event, a folder that every command reads, and tracks.

    python examples/own_events.py [--out own-events]

`read_mine` stands for your reader (uproot, awkward, a database): plain arrays, one entry per hit and per particle.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hitfabric.detector import Event, Particles, read_events, write_event
from hitfabric.fpga_backend import Chain
from hitfabric.models import match_tracks, zoo_path

RADII = np.array([32.0, 72.0, 116.0, 172.0])  # mm, the barrel of the pixel detector
PIXEL_BARREL = 8
BEAM_SPOT = 5.5  # mm along the beam, as where the shipped networks were trained: they know no vertices far outside


def read_mine(seed: int, *, particles: int = 40) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw nearly straight tracks through four cylinders.

    Returns:
        Hits: x, y, z (mm), layer (0 inside), particle (from 1 on). Particles: number, px, py, pz (GeV), z0 (mm).
    """
    rng = np.random.default_rng(seed)
    phi, slope = rng.uniform(-np.pi, np.pi, particles), rng.uniform(-1, 1, particles)
    z0, pt = rng.normal(0, BEAM_SPOT, particles), rng.uniform(2, 10, particles)
    bend = rng.choice([-1.0, 1.0], particles) * 0.3 * 2.0 / (2000 * pt)  # of a field of 2 T, rad per mm
    turned = phi + bend * RADII[:, None]
    hits = {
        "x": RADII[:, None] * np.cos(turned),
        "y": RADII[:, None] * np.sin(turned),
        "z": z0 + slope * RADII[:, None],
        "layer": np.broadcast_to(np.arange(len(RADII))[:, None], turned.shape),
        "particle": np.broadcast_to(1 + np.arange(particles), turned.shape),
    }
    truth = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * slope, "z0": z0, "charge": np.sign(bend)}
    return {name: values.ravel() for name, values in hits.items()}, truth


def make_event(name: str, hits: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> Event:
    """Give the arrays the names, units and types of hitfabric: mm, GeV, float32, int64."""
    count = len(truth["px"])
    zeros = np.zeros(count, np.float32)
    particles = Particles(
        particle_id=np.arange(1, count + 1),
        vx=zeros,
        vy=zeros,
        vz=truth["z0"].astype(np.float32),
        **{axis: truth[axis].astype(np.float32) for axis in ("px", "py", "pz")},
        q=truth["charge"].astype(np.int32),
        nhits=np.bincount(hits["particle"], minlength=count + 1)[1:].astype(np.int32),
    )
    number = len(hits["x"])
    return Event(
        name=name,
        hit_id=np.arange(number),
        **{axis: hits[axis].astype(np.float32) for axis in ("x", "y", "z")},
        volume_id=np.full(number, PIXEL_BARREL, np.int32),
        layer_id=(2 * hits["layer"] + 2).astype(np.int32),  # as the Generic detector numbers its layers
        module_id=np.zeros(number, np.int32),
        particle_id=hits["particle"].astype(np.int64),
        particles=particles,
    )


def main() -> None:
    """Write two events, read them back as any command would, and find their tracks with shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("own-events"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for number in range(2):
        write_event(make_event(f"event{number:09d}", *read_mine(number)), out)
    chain = Chain.load(zoo_path("event-pixel"))
    for event in read_events(out):
        found = match_tracks(event, chain.track(event.features()).labels).summary()
        print(f"{event.name}: {len(event)} hits, efficiency {found['efficiency']:.2f}, fakes {found['fake_rate']:.2f}")


if __name__ == "__main__":
    main()
