"""Graphs read as events: TrackML's pixel graphs and the two layouts of sPHENIX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from hitfabric.core import DataError
from hitfabric.detector import (
    NOISE,
    PIXEL_VOLUMES,
    DoubletCuts,
    geometric_graph,
    list_events,
    read_event,
    read_events,
    write_graph,
)
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.detector.sphenix_graph import read_sphenix_graph

POSITIONS = np.array([[2.5, 0, 1], [3.3, 0.1, 2], [0, 4.1, 3], [7.2, 1, 9.5]])
LAYERS = np.array([0, 1, 2, 3])
EDGES = np.array([[0, 1, 0, 2], [1, 3, 2, 3]])
TRACKGNN: Mapping[str, Any] = {
    "hits_xyz": POSITIONS,
    "layer_id": LAYERS,
    "pid": np.array([17, 17, 5, 17]),
    "noise_label": np.array([0, 0, 1, 0]),
    "edge_index": EDGES,
}
TRIGGER: Mapping[str, Any] = {
    "hit_cartesian": POSITIONS,
    "layer_id": LAYERS,
    "particle_id": np.array([17.0, 17, np.nan, 4]),
    "momentum": np.array([[3.0, 4, 1], [3, 4, 1], [np.nan] * 3, [0, 1, 0]]),
    "track_origin": np.array([[0.0, 0, 1], [0, 0, 1], [np.nan] * 3, [0, 0.1, 0]]),
    "edge_index": EDGES,
}


def save(path: Path, arrays: Mapping[str, Any], **changed: Any) -> Path:
    kept = {name: values for name, values in {**arrays, **changed}.items() if values is not None}
    np.savez(path, **kept)
    return path


def test_trackgnn(tmp_path: Path) -> None:
    save(tmp_path / "g1.npz", TRACKGNN, vertices=np.array([{"pickled": 1}], dtype=object))
    assert list_events(tmp_path) == [tmp_path / "g1"]
    event = read_event(tmp_path / "g1")
    np.testing.assert_array_equal(event.x, (POSITIONS[:, 0] * 10).astype(np.float32))
    assert event.particle_id is not None and event.particles is None
    assert event.particle_id.tolist() == [1, 1, NOISE, 1]
    assert event.volume_id.tolist() == [1, 1, 1, 2] and event.layer_id.tolist() == [0, 1, 2, 3]
    with pytest.raises(DataError, match="has no table of particles"):
        read_event(tmp_path / "g1", require_truth=True)


def test_trigger_studies(tmp_path: Path) -> None:
    event = read_event(save(tmp_path / "g2.npz", TRIGGER).with_suffix(""), require_truth=True)
    assert event.particle_id is not None and event.particles is not None
    assert event.particle_id.tolist() == [2, 2, NOISE, 1]
    np.testing.assert_array_equal(event.pt, np.array([5, 5, np.nan, 1], np.float32))
    np.testing.assert_array_equal(event.particles.vz, np.array([0, 10], np.float32))
    assert event.particles.nhits.tolist() == [1, 2]


@pytest.mark.parametrize(("arrays", "labels"), [(TRACKGNN, [1, 1, 0, 0]), (TRIGGER, [1, 0, 0, 0])])
def test_labelled_graphs_and_archives(arrays: Mapping[str, Any], labels: list[int], tmp_path: Path) -> None:
    path = save(tmp_path / "g.npz", arrays)
    graph = read_sphenix_graph(path)
    assert graph.labels.tolist() == [bool(label) for label in labels]
    np.testing.assert_array_equal(graph.edge_index, EDGES.T)
    with ZipFile(tmp_path / "graphs.zip", "w") as archive:
        archive.write(path, "deep/er/g.npz")
    packed, plain = read_event(tmp_path / "graphs.zip" / "g"), read_event(tmp_path / "g")
    np.testing.assert_array_equal(packed.features(), plain.features())


@pytest.mark.parametrize(
    ("arrays", "changed", "message"),
    [
        (TRACKGNN, {"layer_id": None}, "has no array layer_id"),
        (TRACKGNN, {"layer_id": LAYERS + 0.5}, "layer_id is float64"),
        (TRACKGNN, {"pid": np.array(["a"] * 4)}, "pid is <U1"),
        (TRACKGNN, {"hits_xyz": POSITIONS[:, :2]}, r"hits_xyz is float64 of shape \(4, 2\)"),
        (TRACKGNN, {"hits_xyz": np.where(POSITIONS == 3.3, np.nan, POSITIONS)}, r"hits_xyz\[1, 0\] is not finite"),
        (TRACKGNN, {"hits_xyz": np.zeros((0, 3))}, "holds no hits"),
        (TRIGGER, {"momentum": np.full((4, 3), np.inf)}, r"momentum\[0, 0\] is not finite"),
        (TRIGGER, {"track_origin": None}, "has no array track_origin"),
    ],
)
def test_wrong_arrays_are_named(
    arrays: Mapping[str, Any], changed: Mapping[str, Any], message: str, tmp_path: Path
) -> None:
    save(tmp_path / "g.npz", arrays, **changed)
    with pytest.raises(DataError, match=message):
        read_event(tmp_path / "g")


def test_edges_of_hits_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"edge_index\[1, 3\] is 4, there are 4 hits"):
        read_sphenix_graph(
            save(tmp_path / "g.npz", TRACKGNN, edge_index=np.where(EDGES == 3, 4, EDGES)[:, [0, 2, 2, 3]])
        )


def test_truncated(tmp_path: Path) -> None:
    path = save(tmp_path / "g.npz", TRACKGNN)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"cannot read .*g\.npz"):
        read_event(tmp_path / "g")


def test_pixel_graphs_of_trackml_have_the_layers_of_their_event(tmp_path: Path) -> None:
    event = simulate_helix_event("e", rng=np.random.default_rng(2), pile_up=30).select(volumes=PIXEL_VOLUMES)
    sample = geometric_graph(event, DoubletCuts(min_pt=0.5))
    write_graph(sample, tmp_path)
    back = read_event(tmp_path / sample.name)
    known = {(x, y, z): row for row, (x, y, z) in enumerate(np.stack([event.x, event.y, event.z], 1).round(1).tolist())}
    places = np.stack([back.x, back.y, back.z], 1).round(1).tolist()
    rows = [known.get(tuple(place), -1) for place in places]
    found = np.flatnonzero(np.array(rows) >= 0)
    assert len(found) > 0.9 * len(back), "positions come back within rounding"
    chosen = np.array(rows)[found]
    np.testing.assert_array_equal(back.volume_id[found], event.volume_id[chosen])
    np.testing.assert_array_equal(back.layer_id[found], event.layer_id[chosen])


def test_graphs_of_another_detector_are_refused(tmp_path: Path) -> None:
    event = simulate_helix_event("e", rng=np.random.default_rng(2), pile_up=5)
    sample = geometric_graph(event, DoubletCuts(min_pt=0.3))
    sample.nodes[0] = (0.5, 0, 0)
    write_graph(sample, tmp_path)
    with pytest.raises(DataError, match=r"node 0 \(r 500\.0 mm, z 0\.0 mm\) lies on no pixel layer"):
        read_event(tmp_path / sample.name)


def test_real_graphs(shared_data: Path) -> None:
    event = next(read_events(shared_data / "trackml_graphs" / "plus_2GeV", limit=1))
    assert len(event) > 500 and event.particles is None and event.particle_id is not None
    assert set(np.unique(event.volume_id)) <= set(PIXEL_VOLUMES)
