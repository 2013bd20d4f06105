"""Simulation: physics of the helices, reproducibility, and the fallback that says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import ConfigError, DataError, ToolError, load_config
from hitfabric.detector import SimulationConfig, read_events, simulate
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.detector.simulation_pythia import XMLDOC_VARIABLE, find_xmldoc


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.name.startswith("event")}


def test_helix_hits_lie_on_helices() -> None:
    """Radius of the circle through the beam spot and two hits gives back pT; z grows in proportion to the arc."""
    event = simulate_helix_event("e", rng=np.random.default_rng(2), pile_up=20)
    assert event.particles is not None
    checked = 0
    for row in np.unique(event.particle_row):
        hits = np.flatnonzero(event.particle_row == row)
        hits = hits[np.argsort(event.r[hits])]
        pt, charge = float(event.particles.pt[row]), int(event.particles.q[row])
        if len(hits) < 3 or not 0.3 < pt < 1.5 or event.r[hits[-1]] < 110:
            continue
        start = np.array([event.particles.vx[row], event.particles.vy[row]], float)
        near, far = (np.array([event.x[hit], event.y[hit]], float) - start for hit in (hits[len(hits) // 2], hits[-1]))
        cross = near[0] * far[1] - near[1] * far[0]
        sides = np.linalg.norm(near) * np.linalg.norm(far) * np.linalg.norm(far - near)
        radius = sides / (2 * abs(cross))
        # R = pT / (0.3 B); a positive charge turns clockwise in a field along +z.
        assert radius * 0.299792458 * 2.0 / 1000 == pytest.approx(pt, rel=0.1)
        assert np.sign(cross) == -charge
        arc = 2 * radius * np.arcsin(np.linalg.norm(far) / (2 * radius))
        expected = event.particles.vz[row] + arc * event.particles.pz[row] / pt
        assert event.z[hits[-1]] == pytest.approx(expected, abs=0.02 * abs(expected) + 1)
        checked += 1
    assert checked > 50


def test_helix_multiplicity_follows_pile_up() -> None:
    few, many = (len(simulate_helix_event("e", rng=np.random.default_rng(1), pile_up=mu)) for mu in (5, 50))
    assert 3 < many / few < 15


def test_same_configuration_same_files(tmp_path: Path) -> None:
    config = SimulationConfig(events=3, pile_up=2, generator="helix", first_event=10)
    first, second = (simulate(config, tmp_path / name) for name in "ab")
    assert [prefix.name for prefix in first.events] == ["event000000010", "event000000011", "event000000012"]
    assert contents(first.directory) == contents(second.directory)
    assert first.hits == sum(len(event) for event in read_events(first.directory, require_truth=True))
    # An event depends on the seed and its number, not on how many are made.
    alone = simulate(SimulationConfig(events=1, pile_up=2, generator="helix", first_event=11), tmp_path / "c")
    assert contents(alone.directory).items() <= contents(first.directory).items()
    other = simulate(SimulationConfig(events=3, pile_up=2, generator="helix", first_event=10, seed=2), tmp_path / "d")
    assert contents(other.directory) != contents(first.directory)
    assert json.loads((first.directory / "simulation.json").read_text())["generator"] == "helix"


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    config = SimulationConfig(events=1, pile_up=1, generator="helix")
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(DataError, match="holds other things"):
        simulate(config, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    for _ in range(2):
        simulate(config, tmp_path / "events")


def test_nothing_is_left_of_a_failed_simulation(tmp_path: Path) -> None:
    config = SimulationConfig(events=1, pile_up=1, generator="helix")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "hitfabric.detector.simulation_events.write_event", lambda *_: (_ for _ in ()).throw(OSError("full"))
        )
        with pytest.raises(OSError, match="full"):
            simulate(config, tmp_path / "events")
    assert list(tmp_path.iterdir()) == []


def test_auto_says_when_it_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "acts", None)
    config = SimulationConfig(events=1, pile_up=1, generator="auto")
    with pytest.warns(UserWarning, match="helix simulation instead"):
        result = simulate(config, tmp_path / "events")
    assert result.generator == "helix"
    with pytest.raises(ToolError, match=r"pyacts cannot be imported.*pip install"):
        simulate(SimulationConfig(events=1, generator="acts"), tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_wrong_xmldoc_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(XMLDOC_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match=r"has no Index\.xml"):
        find_xmldoc()


@pytest.mark.parametrize("key", ["events=0", "pile_up=-1", "pile_up=nan", "process=zprime", "colour=1"])
def test_wrong_configuration_is_named(key: str) -> None:
    name, value = key.split("=")
    with pytest.raises(ConfigError, match=name):
        load_config(SimulationConfig, None, {name: value})


@pytest.mark.slow
def test_acts_events_do_not_depend_on_the_workers(tmp_path: Path) -> None:
    pytest.importorskip("acts")
    pytest.importorskip("chromo")
    pytest.importorskip("pythia8mc")
    first, second = (
        simulate(SimulationConfig(events=2, pile_up=5, generator="acts", workers=workers), tmp_path / str(workers))
        for workers in (1, 2)
    )
    assert contents(first.directory) == contents(second.directory)
    for event in read_events(first.directory, require_truth=True):
        assert event.particle_id is not None and event.particles is not None
        assert set(np.unique(event.volume_id)) <= {7, 8, 9, 12, 13, 14, 16, 17, 18}
        assert 500 < len(event) < 20_000
        assert np.isin(event.particle_id, event.particles.particle_id).all()
        np.testing.assert_array_equal(
            event.particles.nhits, [(event.particle_id == key).sum() for key in event.particles.particle_id]
        )
        # True hits lie on modules, and the errors of a pixel are tens of micrometres: discs stay flat.
        inner = (event.volume_id == 9) & (event.layer_id == 2)
        assert np.ptp(event.z[inner]) < 10
