"""`hitfabric convert`: what is read in one format is the same event in another."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.detector import Detector, Event, read_events, read_graphs, write_detector, write_event
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.pipeline.convert import ConvertConfig, convert
from support.random_events import assert_equal_events, events

DETECTOR = Detector(
    volume_id=np.array([7, 8], np.int32),
    layer_id=np.array([2, 2], np.int32),
    module_id=np.array([1, 3], np.int32),
    centre=np.array([[0.1, 0.2, -600], [32, 0, 0]], np.float32),
    rotation=np.stack([np.eye(3, dtype=np.float32)] * 2),
)


def converted(source: Path, out: Path, to: str, **settings: object) -> list[Event]:
    convert(ConvertConfig.model_validate({"events": source, "out": out, "to": to, **settings}))
    return list(read_events(out))


@given(event=events(), to=st.lists(st.sampled_from(["parquet", "trackml"]), min_size=1, max_size=3))
@settings(max_examples=15)
def test_any_chain_of_conversions_keeps_every_bit(
    event: Event, to: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folders = [tmp_path_factory.mktemp("chain") / str(number) for number in range(len(to) + 1)]
    write_event(event, folders[0])
    write_detector(DETECTOR, folders[0])
    for (source, out), kind in zip(pairwise(folders), to, strict=True):
        (found,) = converted(source, out, kind)
        assert_equal_events(found, replace(event, detector=DETECTOR))


def test_many_events_and_a_limit(tmp_path: Path) -> None:
    made = [simulate_helix_event(f"e{n}", rng=np.random.default_rng(n), pile_up=1) for n in range(3)]
    for event in made:
        write_event(event, tmp_path / "csv")
    for found, event in zip(converted(tmp_path / "csv", tmp_path / "all", "parquet"), made, strict=True):
        assert_equal_events(found, event)
    assert [event.name for event in converted(tmp_path / "csv", tmp_path / "two", "parquet", limit=2)] == ["e0", "e1"]
    assert (tmp_path / "all" / "run.json").is_file()


def test_sphenix_graphs_become_graphs_for_training(tmp_path: Path) -> None:
    (tmp_path / "sphenix").mkdir()
    arrays = {
        "hits_xyz": np.array([[2.5, 0, 1], [3.3, 0.1, 2], [0, 4.1, 3]]),
        "layer_id": np.array([0, 1, 3]),
        "pid": np.array([9, 9, 9]),
        "noise_label": np.array([0, 0, 1]),
        "edge_index": np.array([[0, 1], [1, 2]]),
    }
    np.savez(tmp_path / "sphenix" / "g.npz", **arrays)
    result = convert(ConvertConfig(events=tmp_path / "sphenix", out=tmp_path / "graphs", to="graphs"))
    assert (result.events, result.hits) == (1, 3)
    (graph,) = read_graphs(tmp_path / "graphs")
    assert graph.labels.tolist() == [True, False]


def test_what_cannot_be_converted(tmp_path: Path) -> None:
    event = simulate_helix_event("e", rng=np.random.default_rng(1), pile_up=1)
    write_event(event, tmp_path / "csv")
    with pytest.raises(DataError, match="is no sPHENIX graph"):
        convert(ConvertConfig(events=tmp_path / "csv", out=tmp_path / "out", to="graphs"))
    with pytest.raises(DataError, match="exists and is not empty"):
        convert(ConvertConfig(events=tmp_path / "csv", out=tmp_path / "csv"))
    write_event(replace(event, name="f", particle_id=None), tmp_path / "csv")
    for path in (tmp_path / "csv").glob("f-particles*"):
        path.unlink()
    with pytest.raises(DataError, match="event f has other columns"):
        convert(ConvertConfig(events=tmp_path / "csv", out=tmp_path / "out"))
    assert not (tmp_path / "out").exists(), "nothing is left of what failed"
    with pytest.raises(ConfigError, match="to"):
        load_config(ConvertConfig, None, {"events": "csv", "to": "root"})
