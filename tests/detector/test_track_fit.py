"""The fitted transverse momentum: exact on ideal circles, right on simulated helices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hitfabric.detector import Event, read_events, track_pt
from hitfabric.detector.simulation import SimulationConfig, simulate


def hits_on_circle(radius: float, *, angle: float, hits: int = 6) -> Event:
    """Points of a circle of `radius` mm through the origin."""
    turn = np.linspace(0.02, 0.4, hits)
    centre = radius * np.array([np.cos(angle), np.sin(angle)])
    phase = angle + np.pi + turn
    x, y = centre[0] + radius * np.cos(phase), centre[1] + radius * np.sin(phase)
    zeros = np.zeros(hits, dtype=np.int32)
    return Event(
        name="circle",
        hit_id=np.arange(hits),
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        z=np.zeros(hits, dtype=np.float32),
        volume_id=zeros,
        layer_id=zeros,
        module_id=zeros,
    )


@pytest.mark.parametrize("pt", [0.5, 2.0, 10.0])
@pytest.mark.parametrize("angle", [0.0, 1.0, 4.0])
def test_ideal_circle(pt: float, angle: float) -> None:
    radius = pt / (0.299792458e-3 * 2.0)
    fitted = track_pt(hits_on_circle(radius, angle=angle), np.zeros(6, dtype=np.int64), tracks=2)
    assert abs(fitted[0] / pt - 1) < 1e-3
    assert fitted[1] == 0  # a track without hits


def test_straight_line_is_not_a_division_by_zero() -> None:
    event = hits_on_circle(1e12, angle=0.3)
    assert track_pt(event, np.zeros(6, dtype=np.int64), tracks=1)[0] == 1000.0


def test_simulated_particles(tmp_path: Path) -> None:
    simulate(SimulationConfig(events=1, pile_up=20, generator="helix", seed=3), tmp_path / "events")
    event = next(iter(read_events(tmp_path / "events", require_truth=True)))
    rows = event.particle_row
    counts = np.bincount(rows[rows >= 0], minlength=len(event.particles))
    fitted = track_pt(event.take(np.flatnonzero(rows >= 0)), rows[rows >= 0], tracks=len(event.particles))
    chosen = (counts >= 6) & (event.particles.pt > 1) & (event.particles.pt < 5)
    assert chosen.sum() > 10
    assert np.median(np.abs(fitted[chosen] / event.particles.pt[chosen] - 1)) < 0.05
