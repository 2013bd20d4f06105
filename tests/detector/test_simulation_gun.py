"""The particle gun through the real detector simulation, and what other processes must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitfabric.core import ConfigError, ToolError, load_config
from hitfabric.detector import SimulationConfig, read_event, read_events, simulate
from hitfabric.detector.simulation_gun import SPECIES, GunConfig, shoot
from hitfabric.detector.simulation_pythia import Collisions

YAML = """
process: gun
gun: {particles: 6, species: pion, pt_min: 2, pt_max: 4}
events: 3
first_event: 5
pile_up: 0
eta_max: 1.5
seed: 9
detector: generic
generator: acts
"""


@given(
    species=st.sampled_from(sorted(SPECIES)),
    particles=st.integers(1, 200),
    pt=st.lists(st.floats(0.05, 100), min_size=2, max_size=2),
    eta_max=st.floats(0.1, 5),
    seed=st.integers(0, 2**31),
)
def test_what_the_gun_shoots(species: str, particles: int, pt: list[float], eta_max: float, seed: int) -> None:
    gun = GunConfig.model_validate({"particles": particles, "species": species, "pt_min": min(pt), "pt_max": max(pt)})
    columns, again = (shoot(gun, eta_max=eta_max, rng=np.random.default_rng(seed)) for _ in range(2))
    for name, values in columns.items():
        np.testing.assert_array_equal(values, again[name])
        assert values.shape == (particles,)
    momentum = np.hypot(columns["px"], columns["py"])
    assert (momentum >= min(pt) * (1 - 1e-9)).all() and (momentum <= max(pt) * (1 + 1e-9)).all()
    assert (np.abs(np.arcsinh(columns["pz"] / momentum)) <= eta_max * (1 + 1e-9)).all()
    pdg, mass, charge = SPECIES[species]
    np.testing.assert_array_equal(columns["q"] * pdg, charge * columns["pdg"])
    assert (np.abs(columns["pdg"]) == pdg).all() and (columns["m"] == mass).all()


@pytest.mark.slow
def test_from_yaml_the_same_whatever_the_number_of_processes(tmp_path: Path) -> None:
    pytest.importorskip("acts")
    pytest.importorskip("chromo")
    pytest.importorskip("pythia8mc")
    (tmp_path / "gun.yaml").write_text(YAML)
    results = [
        simulate(load_config(SimulationConfig, tmp_path / "gun.yaml", {"workers": workers}), tmp_path / str(workers))
        for workers in (1, 2)
    ]
    files = [{path.name: path.read_bytes() for path in result.directory.glob("*.csv.gz")} for result in results]
    assert files[0] == files[1] and "detectors.csv.gz" in files[0]
    assert [prefix.name for prefix in results[0].events] == [f"event{number:09d}" for number in (5, 6, 7)]
    for event in read_events(results[0].directory, require_truth=True):
        assert event.particle_id is not None and event.particles is not None and event.detector is not None
        assert event.pile_up == 1
        primary = np.flatnonzero(np.hypot(event.particles.vx, event.particles.vy) < 0.2)
        assert 5 <= len(primary) <= 6, "a pion may interact before it makes a hit"
        assert (event.particles.pt[primary] > 1.99).all() and (event.particles.pt[primary] < 4.01).all()
        assert (np.abs(event.particles.eta[primary]) < 1.51).all()
        assert (event.detector.rows_of(event.volume_id, event.layer_id, event.module_id) >= 0).all()
    other = load_config(SimulationConfig, tmp_path / "gun.yaml", {"seed": 10, "events": 1, "workers": 1})
    different = read_event(simulate(other, tmp_path / "other").events[0])
    assert not np.array_equal(different.x, read_event(results[0].events[0]).x)


@pytest.mark.slow
def test_crossings_depend_on_their_seed_alone_and_hold_their_process() -> None:
    pytest.importorskip("chromo")
    pytest.importorskip("pythia8mc")
    collisions = Collisions(process="zmumu", pile_up=2, eta_max=4.0, pt_min=0.5, gun=GunConfig())
    first, _, again = (collisions.crossing(seed) for seed in (3, 4, 3))
    assert first[0] == again[0]
    for name, values in first[1].items():
        np.testing.assert_array_equal(values, again[1][name])
    pt = np.hypot(first[1]["px"], first[1]["py"])
    assert pt.min() > 0.5
    assert np.abs(np.arcsinh(first[1]["pz"] / pt)).max() < 4
    hard = [collisions.crossing(seed)[1] for seed in range(10)]
    masses = [mass for columns in hard for mass in muon_pair_masses(columns)]
    assert len(masses) >= 5 and min(masses) > 50, "muons of a boson above 60 GeV, less what they radiate"


def muon_pair_masses(columns: dict[str, np.ndarray]) -> list[float]:
    """Mass of the pair of the hard collision's muons above 10 GeV, where both are in the table."""
    pt = np.hypot(columns["px"], columns["py"])
    rows = np.flatnonzero((np.abs(columns["pdg"]) == 13) & (columns["vertex"] == 1) & (pt > 10))
    if len(rows) != 2:
        return []
    momentum = np.stack([columns[name][rows] for name in ("px", "py", "pz")])
    energy = np.sqrt((momentum**2).sum(axis=0) + columns["m"][rows] ** 2)
    return [float(np.sqrt(energy.sum() ** 2 - (momentum.sum(axis=1) ** 2).sum()))]


def test_the_open_data_detector_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"Open Data Detector needs ACTS with its DD4hep plugin") as caught:
        simulate(SimulationConfig(detector="open_data", events=1), tmp_path / "events")
    assert "detector: generic" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_helix_has_ttbar_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="generator helix has no process gun"):
        load_config(SimulationConfig, None, {"generator": "helix", "process": "gun"})


@pytest.mark.parametrize(
    "key", ["gun.particles=0", "gun.particles=65536", "gun.species=tau", "gun.pt_max=0.5", "gun.pt_min=nan"]
)
def test_wrong_guns_are_named(key: str) -> None:
    name, value = key.split("=")
    with pytest.raises(ConfigError, match="gun"):
        load_config(SimulationConfig, None, {name: value})
