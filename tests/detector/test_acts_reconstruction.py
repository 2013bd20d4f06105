"""Reconstruction with ACTS: what it finds, that it repeats, that it sees no truth, and what it refuses."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import DataError, ToolError
from hitfabric.core.spreading import SpreadConfig, open_spread
from hitfabric.detector import NO_TRACK, PIXEL_VOLUMES, Event, SimulationConfig, read_events, simulate
from hitfabric.detector.acts_reconstruction import (
    reconstruct_with_acts,
    require_acts_reconstruction,
)
from hitfabric.detector.acts_settings import ActsReconstructionConfig
from hitfabric.detector.simulation_gun import GunConfig
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.models.metrics import match_tracks
from support.dask_cluster import dask_cluster


def helix_event() -> Event:
    return simulate_helix_event("e", rng=np.random.default_rng(1), pile_up=1)


def test_missing_wheel_is_a_tool_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "acts", None)
    with pytest.raises(ToolError, match=r"pyacts cannot be imported.*pip install"):
        next(reconstruct_with_acts([helix_event()]))


def test_a_wheel_without_an_algorithm_is_a_tool_error(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = pytest.importorskip("acts.examples")
    require_acts_reconstruction()
    monkeypatch.delattr(examples, "TrackFindingAlgorithm")
    with pytest.raises(ToolError, match=r"no TrackFindingAlgorithm; run: pip install"):
        next(reconstruct_with_acts([helix_event()]))


def test_no_events_no_tracks() -> None:
    pytest.importorskip("acts")
    assert list(reconstruct_with_acts([])) == []


@pytest.mark.slow
def test_other_detectors_are_refused() -> None:
    pytest.importorskip("acts")
    with pytest.raises(DataError, match=r"module.*Generic"):
        list(reconstruct_with_acts([helix_event()], ActsReconstructionConfig(workers=1)))


@pytest.mark.slow
def test_isolated_muons_are_found(tmp_path: Path) -> None:
    """Muons that cross the whole detector and lie well apart: all but those that meet a crack or share a module."""
    pytest.importorskip("acts")
    gun = GunConfig(particles=30, species="muon", pt_min=1.5, pt_max=20.0)
    simulate(
        SimulationConfig(events=2, pile_up=0, process="gun", gun=gun, eta_max=2.0, generator="acts", workers=1),
        tmp_path / "muons",
    )
    events = list(read_events(tmp_path / "muons", require_truth=True))
    for event, tracks in zip(events, reconstruct_with_acts(events, ActsReconstructionConfig(workers=1)), strict=True):
        outcome = match_tracks(event, tracks.labels)
        assert len(outcome.found) >= 28
        assert outcome.efficiency >= 0.9
        assert outcome.fake_rate <= 0.1
        assert outcome.duplicate_rate <= 0.1


@pytest.mark.slow
def test_collisions(tmp_path: Path) -> None:
    """Shape, repetition with other workers, blindness to truth, pixel hits alone, and an event without hits."""
    pytest.importorskip("acts")
    pytest.importorskip("chromo")
    pytest.importorskip("pythia8mc")
    simulate(SimulationConfig(events=2, pile_up=5, generator="acts", workers=1), tmp_path / "events")
    first, second = read_events(tmp_path / "events", require_truth=True)
    pixels = first.select(volumes=PIXEL_VOLUMES)
    nothing = first.take(np.zeros(0, dtype=np.int64))
    assert first.particle_id is not None
    untrue = replace(first, particle_id=np.zeros_like(first.particle_id))
    events = [first, second, pixels, nothing, untrue]
    alone, together = (
        list(reconstruct_with_acts(events, ActsReconstructionConfig(workers=workers))) for workers in (1, 2)
    )
    for event, one, other in zip(events, alone, together, strict=True):
        assert one.name == event.name
        assert one.labels.dtype == np.int64
        assert one.labels.shape == (len(event),)
        np.testing.assert_array_equal(one.labels, other.labels)
        lengths = np.bincount(one.labels[one.labels != NO_TRACK]) if len(event) else np.zeros(0, dtype=np.int64)
        # Five hits at least, of pixels four, one of which a better track may have taken.
        assert (lengths >= (3 if event is pixels else 4)).all()
    np.testing.assert_array_equal(alone[0].labels, alone[4].labels)
    for event, tracks in zip(events[:3], alone[:3], strict=True):
        outcome = match_tracks(event, tracks.labels)
        assert outcome.found.sum() > len(outcome.found) / 2
        assert outcome.fake_rate < 0.1


@pytest.mark.slow
def test_dask_workers_simulate_and_reconstruct_the_same(tmp_path: Path) -> None:
    pytest.importorskip("acts")
    pytest.importorskip("distributed")
    gun = GunConfig(particles=10, species="muon", pt_min=1.5, pt_max=20.0)
    config = SimulationConfig(events=2, pile_up=0, process="gun", gun=gun, generator="acts", workers=1)
    with (
        dask_cluster(tmp_path / "cluster", workers=1) as cluster,
        open_spread(SpreadConfig(dask=cluster.address)) as dask,
    ):
        labels = []
        for name, spread in (("here", None), ("dask", dask)):
            simulate(config, tmp_path / name, spread=spread)
            events = list(read_events(tmp_path / name, require_truth=True))
            found = reconstruct_with_acts(events, ActsReconstructionConfig(workers=1), spread=spread)
            labels.append([tracks.labels.tobytes() for tracks in found])
    for path in (tmp_path / "here").glob("*.csv"):
        assert path.read_bytes() == (tmp_path / "dask" / path.name).read_bytes()
    assert len(labels[0]) == 2 and labels[0] == labels[1]
