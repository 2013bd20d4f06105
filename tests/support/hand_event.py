"""Events made by hand: hits of given particles, for answers worked out on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hitfabric.detector import Event, Particles

Vertex = tuple[float, float, float]


def hand_event(
    particle_id: Sequence[int],
    pt: Mapping[int, float],
    *,
    eta: Mapping[int, float] | None = None,
    vertex: Mapping[int, Vertex] | None = None,
    z: Sequence[float] | None = None,
    pile_up: int | None = None,
) -> Event:
    """Event whose hits belong to the given particles, one hit behind the other on the x axis.

    Args:
        particle_id: Particle of each hit; 0 is noise, -1 not known.
        pt: Transverse momentum of each particle of the table, GeV.
        eta: Pseudorapidity, 0 where not given.
        vertex: Production vertex, mm; the origin where not given.
        z: z of each hit, mm; 0 where not given.
        pile_up: Number of primary vertices, where the event says it.
    """
    ids = sorted(pt)
    momentum = np.array([pt[i] for i in ids], dtype=np.float32)
    slopes = np.sinh([(eta or {}).get(i, 0.0) for i in ids])
    places = np.array([(vertex or {}).get(i, (0.0, 0.0, 0.0)) for i in ids], dtype=np.float32).reshape(-1, 3)
    particles = Particles(
        particle_id=np.array(ids, dtype=np.int64),
        vx=places[:, 0],
        vy=places[:, 1],
        vz=places[:, 2],
        px=momentum,
        py=np.zeros(len(ids), dtype=np.float32),
        pz=(momentum * slopes).astype(np.float32),
        q=np.ones(len(ids), dtype=np.int32),
        nhits=np.array([list(particle_id).count(i) for i in ids], dtype=np.int32),
    )
    numbers = np.arange(len(particle_id))
    return Event(
        name="made",
        hit_id=numbers + 1,
        x=(30.0 + numbers).astype(np.float32),
        y=np.zeros(len(numbers), dtype=np.float32),
        z=np.zeros(len(numbers), dtype=np.float32) if z is None else np.array(z, dtype=np.float32),
        volume_id=np.full(len(numbers), 8, dtype=np.int32),
        layer_id=numbers.astype(np.int32),
        module_id=np.zeros(len(numbers), dtype=np.int32),
        particle_id=np.array(particle_id, dtype=np.int64),
        particles=particles,
        pile_up=pile_up,
    )
