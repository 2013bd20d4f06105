"""A small simulation of our own: helices through ideal pixel layers.

It stands in for ACTS where the wheels cannot be installed, and makes events for fast tests. Particles follow exact
helices in a 2 T field along z and cross the layers of the pixel detector of the Generic (TrackML) geometry, taken as
ideal cylinders and discs. There are no interactions, decays, energy loss, inefficiencies or noise; spectra are rough
parametrisations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .event import Event, Particles

FIELD_TESLA = 2.0
BARREL_VOLUME, NEGATIVE_VOLUME, POSITIVE_VOLUME = 8, 7, 9
BARREL_RADII_MM = (32.0, 72.0, 116.0, 172.0)
BARREL_HALF_LENGTH_MM = 490.0
DISC_Z_MM = (600.0, 700.0, 820.0, 960.0, 1100.0, 1300.0, 1500.0)
DISC_RADII_MM = (30.0, 176.0)
RESOLUTION_MM = 0.0144338
"""Of both coordinates measured on a layer: a 50 um pitch over sqrt(12)."""
BEAM_SPOT_MM = (0.0125, 0.0125, 5.5)
CHARGED_PER_COLLISION = 50.0
"""Mean number of charged particles within |eta| < 4 and pT > 0.1 GeV of a pile-up collision."""
HARD_CHARGED = 150.0
"""The same of the hard collision, whose spectrum is harder."""


@dataclass(frozen=True, kw_only=True)
class Crossings:
    """Points where particles cross layers, one entry per crossing; positions in mm."""

    particle: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    volume: NDArray[np.int32]
    layer: NDArray[np.int32]


def simulate_helix_event(
    name: str, *, rng: np.random.Generator, pile_up: float, eta_max: float = 4.0, pt_min: float = 0.1
) -> Event:
    """Simulate one event.

    Args:
        name: Name of the event.
        rng: Source of all random numbers.
        pile_up: Mean number of pile-up collisions; their number is Poisson distributed.
        eta_max: Largest |eta| of a particle.
        pt_min: Smallest transverse momentum, GeV.

    Returns:
        Event with truth and particle table; particles without hits are left out.
    """
    collisions = 1 + int(rng.poisson(pile_up))
    particles = _particles(rng, collisions=collisions, eta_max=eta_max, pt_min=pt_min)
    crossings = _crossings(particles)
    smeared = _smear(crossings, rng)
    volume, layer = crossings.volume, crossings.layer
    order = np.lexsort((smeared[0], layer, volume))
    particle = crossings.particle[order]
    nhits = np.bincount(particle, minlength=len(particles))
    seen = nhits > 0
    x, y, z = (axis[order].astype(np.float32) for axis in smeared)
    columns = {key: getattr(particles, key)[seen] for key in ("particle_id", "vx", "vy", "vz", "px", "py", "pz", "q")}
    return Event(
        name=name,
        hit_id=np.arange(1, len(order) + 1),
        x=x,
        y=y,
        z=z,
        volume_id=volume[order],
        layer_id=layer[order],
        module_id=_module(x, y, z),
        particle_id=particles.particle_id[particle],
        particles=Particles(nhits=nhits[seen].astype(np.int32), **columns),
        pile_up=collisions,
    )


def _particles(rng: np.random.Generator, *, collisions: int, eta_max: float, pt_min: float) -> Particles:
    multiplicity = rng.negative_binomial(2.0, 2.0 / (2.0 + CHARGED_PER_COLLISION), size=collisions)
    multiplicity[0] = rng.poisson(HARD_CHARGED)
    collision = np.repeat(np.arange(collisions), multiplicity)
    count = len(collision)
    # A Tsallis-like power law: mean pT about 0.6 GeV in pile-up, twice that in the hard collision.
    scale = np.where(collision == 0, 1.4, 0.7)
    pt = pt_min + scale * (rng.uniform(size=count) ** (-1 / 5.0) - 1) * 3.0
    eta = rng.uniform(-eta_max, eta_max, size=count)
    phi = rng.uniform(-np.pi, np.pi, size=count)
    vertex = rng.normal(0.0, BEAM_SPOT_MM, size=(collisions, 3))[collision]
    return Particles(
        particle_id=np.arange(1, count + 1),
        vx=vertex[:, 0].astype(np.float32),
        vy=vertex[:, 1].astype(np.float32),
        vz=vertex[:, 2].astype(np.float32),
        px=(pt * np.cos(phi)).astype(np.float32),
        py=(pt * np.sin(phi)).astype(np.float32),
        pz=(pt * np.sinh(eta)).astype(np.float32),
        q=rng.choice(np.array([-1, 1], dtype=np.int32), size=count),
        nhits=np.zeros(count, dtype=np.int32),
    )


def _crossings(particles: Particles) -> Crossings:
    """First crossing of each layer by each particle, on its way out."""
    found: list[Crossings] = []
    # Radius of curvature in mm: pT [GeV] / (0.3 B [T]) in metres.
    radius = particles.pt.astype(np.float64) / (0.299792458 * FIELD_TESLA) * 1000
    for number, cylinder in enumerate(BARREL_RADII_MM):
        turned = _angle_to_cylinder(particles, radius, cylinder)
        x, y, z = _position(particles, radius, turned)
        hit = np.isfinite(turned) & (np.abs(z) <= BARREL_HALF_LENGTH_MM)
        found.append(_crossing(hit, x, y, z, BARREL_VOLUME, 2 * (number + 1)))
    slope = particles.pz.astype(np.float64) / np.maximum(particles.pt.astype(np.float64), 1e-9)
    for side, volume in ((-1, NEGATIVE_VOLUME), (1, POSITIVE_VOLUME)):
        for number, height in enumerate(DISC_Z_MM):
            with np.errstate(divide="ignore", invalid="ignore"):
                turned = (side * height - particles.vz) / (slope * radius)
            x, y, z = _position(particles, radius, turned)
            r = np.hypot(x, y)
            # Half a turn: what curls further has left the pixel detector or crossed it before.
            hit = (turned > 0) & (turned <= np.pi) & (r >= DISC_RADII_MM[0]) & (r <= DISC_RADII_MM[1])
            layer = 2 * (number + 1) if side > 0 else 2 * (len(DISC_Z_MM) - number)
            found.append(_crossing(hit, x, y, z, volume, layer))
    names = ("particle", "x", "y", "z", "volume", "layer")
    return Crossings(**{name: np.concatenate([getattr(item, name) for item in found]) for name in names})


def _crossing(
    hit: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    volume: int,
    layer: int,
) -> Crossings:
    particle = np.flatnonzero(hit)
    return Crossings(
        particle=particle,
        x=x[hit],
        y=y[hit],
        z=z[hit],
        volume=np.full(len(particle), volume, dtype=np.int32),
        layer=np.full(len(particle), layer, dtype=np.int32),
    )


def _centre(particles: Particles, radius: NDArray[np.float64]) -> tuple[NDArray, NDArray, NDArray]:
    """Centre of each helix in the transverse plane, and the angle at which the particle starts on it."""
    # A positive charge in a field along +z turns clockwise: its centre lies to the right of its momentum.
    sign = particles.q.astype(np.float64)
    phi = particles.phi.astype(np.float64)
    x = particles.vx + sign * radius * np.sin(phi)
    y = particles.vy - sign * radius * np.cos(phi)
    return x, y, np.arctan2(particles.vy - y, particles.vx - x)


def _position(
    particles: Particles, radius: NDArray[np.float64], turned: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Position after turning by an angle (rad, >= 0); NaN where the angle is."""
    x, y, start = _centre(particles, radius)
    with np.errstate(invalid="ignore"):
        angle = start - particles.q * turned
        arc = radius * turned * (particles.pz / np.maximum(particles.pt, 1e-9))
        return x + radius * np.cos(angle), y + radius * np.sin(angle), particles.vz + arc


def _angle_to_cylinder(particles: Particles, radius: NDArray[np.float64], cylinder: float) -> NDArray[np.float64]:
    """Angle by which each particle turns until it first crosses a cylinder about the beam; NaN where it never does."""
    x, y, start = _centre(particles, radius)
    distance = np.hypot(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Law of cosines in the triangle beam, centre, crossing point.
        cosine = (distance**2 + radius**2 - cylinder**2) / (2 * distance * radius)
        half = np.arccos(np.where(np.abs(cosine) <= 1, cosine, np.nan))
    towards_beam = np.arctan2(-y, -x)
    turns = [np.mod(-particles.q * (towards_beam + sign * half - start), 2 * np.pi) for sign in (-1, 1)]
    return np.minimum(*turns)


def _smear(crossings: Crossings, rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
    """Gaussian error along both directions in the layer's surface."""
    first, second = rng.normal(0.0, RESOLUTION_MM, size=(2, len(crossings.x)))
    barrel = crossings.volume == BARREL_VOLUME
    r = np.hypot(crossings.x, crossings.y)
    x = crossings.x + np.where(barrel, -crossings.y / r * first, first)
    y = crossings.y + np.where(barrel, crossings.x / r * first, second)
    return x, y, crossings.z + np.where(barrel, second, 0.0)


def _module(x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]) -> NDArray[np.int32]:
    """Number of an ideal module: 16 in phi by 14 in z."""
    phi_bin = np.clip((np.arctan2(y, x) / np.pi + 1) * 8, 0, 15).astype(np.int32)
    z_bin = np.clip((z / BARREL_HALF_LENGTH_MM + 1) * 7, 0, 13).astype(np.int32)
    return z_bin * np.int32(16) + phi_bin + np.int32(1)
