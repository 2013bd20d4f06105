"""Samples: the validation split where it is, simulated events where it is not, never one for the other in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hitfabric.core import DataError
from hitfabric.detector import read_event
from hitfabric.pipeline import evaluate_all_data
from hitfabric.pipeline.evaluate_all_data import (
    EVENT_FOLDER,
    GRAPH_FOLDER,
    FreshConfig,
    find_data,
    simulate_once,
    simulated_sample,
    validation_sample,
)

FRESH = FreshConfig(events=1, pile_up=2.0, generator="helix")


def sample(data: Path | None, out: Path) -> evaluate_all_data.Sample:
    return validation_sample(data, FRESH, out, events=1, graphs=1)


def test_without_data_events_are_simulated_and_said_so(tmp_path: Path) -> None:
    found = sample(None, tmp_path)
    assert found.simulated and len(found.events) == 1
    assert "simulated" in found.about_events and "no data folder" in found.about_events
    assert found.describe()["simulated"] is True
    assert len(found.graphs) == 1 and found.graphs[0].labels.any()


def test_what_half_a_data_folder_lacks_is_simulated(tmp_path: Path) -> None:
    simulate_once(FRESH.simulation(seed=3, events=2, pile_up=2.0), tmp_path / "data" / EVENT_FOLDER)
    found = sample(tmp_path / "data", tmp_path / "out")
    assert found.events[0].parent == tmp_path / "data" / EVENT_FOLDER
    # Events of other numbers than the validation split: nothing is claimed about them.
    assert "trained" not in found.about_events
    assert found.simulated and "not in data" in found.about_graphs


def test_simulated_events_are_used_again(tmp_path: Path) -> None:
    config = FRESH.simulation(seed=3, events=1, pile_up=2.0)
    first, generator = simulate_once(config, tmp_path / "events")
    stamp = first[0].parent.stat().st_ino
    again, _ = simulate_once(config.model_copy(update={"workers": 1}), tmp_path / "events")
    assert (again, generator) == (first, "helix") and again[0].parent.stat().st_ino == stamp
    other, _ = simulate_once(config.model_copy(update={"seed": 4}), tmp_path / "events")
    assert other[0].parent.stat().st_ino != stamp


@pytest.mark.parametrize("record", ["{", "{}", '{"config": {"events": 0}, "generator": "helix"}'])
def test_events_of_a_damaged_record_are_made_anew(record: str, tmp_path: Path) -> None:
    config = FRESH.simulation(seed=3, events=1, pile_up=2.0)
    (prefix,), _ = simulate_once(config, tmp_path)
    before, stamp = read_event(prefix, require_truth=True), tmp_path.stat().st_ino
    (tmp_path / "simulation.json").write_text(record, encoding="utf-8")
    (prefix,), _ = simulate_once(config, tmp_path)
    assert tmp_path.stat().st_ino != stamp
    assert np.array_equal(read_event(prefix, require_truth=True).x, before.x)


def test_seeds_make_different_samples(tmp_path: Path) -> None:
    first = simulated_sample(FRESH, tmp_path, "test", seed=FRESH.test_seed, events=None)
    second = simulated_sample(FRESH, tmp_path, "validation", seed=FRESH.validation_seed, events=None)
    assert str(FRESH.test_seed) in first.about_events
    assert len(first.graphs[0].nodes) != len(second.graphs[0].nodes)


def test_an_unknown_data_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a directory"):
        find_data(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds neither"):
        find_data(tmp_path)


def test_the_folder_beside_the_checkout_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_all_data, "BESIDE", tmp_path / "nowhere")
    assert find_data(None) is None
    monkeypatch.setattr(evaluate_all_data, "BESIDE", tmp_path)
    assert find_data(None) == tmp_path


def test_corrupt_graphs_are_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "data" / GRAPH_FOLDER
    folder.mkdir(parents=True)
    (folder / "event000001060_g000.npz").write_bytes(b"not a graph")
    with pytest.raises(DataError, match="event000001060_g000"):
        sample(tmp_path / "data", tmp_path / "out")


def test_an_empty_event_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data" / EVENT_FOLDER).mkdir(parents=True)
    with pytest.raises(DataError, match="holds no events"):
        sample(tmp_path / "data", tmp_path / "out")


def test_the_validation_split_is_what_no_training_saw(shared_data: Path, tmp_path: Path) -> None:
    found = validation_sample(shared_data, FRESH, tmp_path, events=None, graphs=None)
    assert [prefix.name for prefix in found.events] == [f"event00000903{number}" for number in range(5)]
    assert [graph.name[:14] for graph in found.graphs] == [f"event00000{number}" for number in range(1060, 1080)]
    assert not found.simulated and not (tmp_path / "events").exists()
