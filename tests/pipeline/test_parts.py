"""The parts that stages are made of."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hitfabric.core import ConfigError, DataError, ToolError, load_config
from hitfabric.detector import Event, GraphSample
from hitfabric.emulation.compare import Divergence, Rung
from hitfabric.fpga_backend import ChainConfig
from hitfabric.models.metrics import roc_auc
from hitfabric.pipeline import extras
from hitfabric.pipeline.curves import write_curves
from hitfabric.pipeline.demo import DemoConfig, quick_config
from hitfabric.pipeline.layout import find_model
from hitfabric.pipeline.samples import ChainEvent, event_graph
from hitfabric.pipeline.scores import ScoreSample, network_scores
from hitfabric.pipeline.track import TrackedEvent, read_labels, write_labels
from hitfabric.pipeline.vectors import pieces_within
from hitfabric.quantization import Maxima


def make_event(hits: int, seed: int = 0) -> Event:
    rng = np.random.default_rng(seed)
    x, y, z = (rng.uniform(-500, 500, hits).astype(np.float32) for _ in range(3))
    return Event(
        name="event000000001",
        hit_id=rng.permutation(10 * hits)[:hits].astype(np.int64),
        x=x,
        y=y,
        z=z,
        volume_id=rng.choice([7, 8, 9, 12], hits).astype(np.int32),
        layer_id=np.zeros(hits, np.int32),
        module_id=np.zeros(hits, np.int32),
    )


def make_graph(nodes: int, edges: int, seed: int = 0) -> GraphSample:
    rng = np.random.default_rng(seed)
    coordinates = np.stack([rng.uniform(0.03, 1, nodes), rng.uniform(-1, 1, nodes), rng.uniform(-1, 1, nodes)], axis=1)
    return GraphSample(
        name="graph",
        nodes=coordinates.astype(np.float32),
        edges=rng.normal(size=(edges, 4)).astype(np.float32),
        edge_index=rng.integers(0, nodes, (edges, 2)),
        labels=rng.random(edges) < 0.5,
        particle_id=np.zeros(nodes, np.int64),
    )


@given(st.lists(st.integers(-1, 50), min_size=1, max_size=60))
def test_labels_survive_the_file(tmp_path_factory: pytest.TempPathFactory, labels: list[int]) -> None:
    event, folder = make_event(len(labels)), tmp_path_factory.mktemp("labels")
    given_labels = np.array(labels, dtype=np.int64)
    tracked = TrackedEvent(name=event.name, hit_id=event.hit_id, labels=given_labels, hits=len(labels), seconds=0.0)
    write_labels(folder, tracked)
    assert np.array_equal(read_labels(folder, event), given_labels)
    shuffled = event.take(np.random.default_rng(1).permutation(len(labels)))
    by_id = dict(zip(event.hit_id, given_labels, strict=True))
    assert read_labels(folder, shuffled).tolist() == [by_id[hit] for hit in shuffled.hit_id]


@given(volumes=st.sets(st.sampled_from([7, 8, 9, 12]), min_size=1), seed=st.integers(0, 5))
def test_selected_hits_return_to_their_places(volumes: set[int], seed: int) -> None:
    event = make_event(40, seed)
    if not np.isin(event.volume_id, list(volumes)).any():
        return
    chosen = ChainEvent.select(event, ChainConfig(radius=1.0, volumes=tuple(volumes)))
    labels = chosen.whole_labels(np.arange(len(chosen.rows)))
    inside = np.isin(event.volume_id, list(volumes))
    assert (labels[~inside] == -1).all()
    assert np.array_equal(event.hit_id[labels >= 0], chosen.selected.hit_id)
    assert np.array_equal(chosen.features, event.features()[inside])


def test_no_volumes_means_all_hits() -> None:
    event = make_event(20)
    assert len(ChainEvent.select(event, ChainConfig(radius=1.0)).rows) == 20


@given(nodes=st.integers(2, 200), edges=st.integers(0, 400), seed=st.integers(0, 3))
def test_pieces_are_within_the_maxima_and_part_of_the_graph(nodes: int, edges: int, seed: int) -> None:
    graph = make_graph(nodes, edges, seed)
    maxima = Maxima(nodes=20, edges=30)
    pieces = pieces_within(graph, maxima, wanted=10)
    known = {row.tobytes() for row in graph.edges}
    assert all(len(piece.edges) > maxima.edges or len(piece.nodes) > maxima.nodes for piece in pieces.beyond)
    for piece in pieces.within:
        assert 0 < len(piece.edges) <= maxima.edges
        assert len(piece.nodes) <= maxima.nodes
        assert all(row.tobytes() in known for row in piece.edges)
        assert piece.edge_index.max() < len(piece.nodes)


def test_event_graph_keeps_the_ends_of_each_edge() -> None:
    features = make_event(30).features()
    edge_index = np.array([[3, 7], [7, 20], [29, 3]])
    graph = event_graph("event", features, edge_index, ChainConfig(radius=1.0))
    assert len(graph.nodes) == 4
    radius = graph.nodes[graph.edge_index][:, :, 0] * 1000
    assert np.allclose(radius, features[edge_index][:, :, 0], rtol=1e-5)


@given(
    scores=arrays.arrays(np.float32, st.integers(2, 300), elements=st.floats(-8, 8, width=16)),
    seed=st.integers(0, 9),
)
def test_network_scores_count_every_edge(scores: np.ndarray, seed: int) -> None:
    labels = np.random.default_rng(seed).random(len(scores)) < 0.5
    half = len(scores) // 2
    parts = [
        ScoreSample(scores=scores[:half], labels=labels[:half]),
        ScoreSample(scores=scores[half:], labels=labels[half:]),
    ]
    record = network_scores(parts, threshold=0.0)
    assert (record.true, record.false) == (int(labels.sum()), int((~labels).sum()))
    if record.scores is not None:
        assert (sum(record.scores.true), sum(record.scores.false)) == (record.true, record.false)
    if record.roc is not None:
        assert record.roc.auc == pytest.approx(roc_auc(scores, labels))
        assert list(record.roc.efficiency) == sorted(record.roc.efficiency)
        assert (record.roc.efficiency[-1], record.roc.false_positive_rate[-1]) == (1.0, 1.0)
        for threshold, efficiency in zip(record.roc.threshold, record.roc.efficiency, strict=True):
            assert efficiency == pytest.approx(np.mean(scores[labels] >= threshold))


def make_rung(**values: int | Divergence | None) -> Rung:
    return Rung(network="net", node="node", executor="native", low=-8, high=7, **values)  # type: ignore[arg-type]


def test_merge_adds_counts_and_keeps_the_first_difference() -> None:
    first = Divergence(batch=0, index=(1,), expected=3, found=4)
    second = Divergence(batch=2, index=(0,), expected=1, found=0)
    one = make_rung(compared=10, mismatches=1, first=first, reached_low=-2, reached_high=5, saturated=1)
    two = make_rung(compared=20, mismatches=2, first=second, reached_low=-7, reached_high=3, saturated=2)
    two.merge(one)
    assert (two.compared, two.mismatches, two.saturated) == (30, 3, 3)
    assert (two.first, two.reached_low, two.reached_high) == (first, -7, 5)


def test_merge_takes_what_only_the_other_reached() -> None:
    rung = make_rung()
    rung.merge(make_rung(compared=1, reached_low=2, reached_high=2))
    assert (rung.compared, rung.reached_low, rung.reached_high) == (1, 2, 2)


def test_curves_count_epochs_through_both_phases(tmp_path: Path) -> None:
    rows = [
        {"phase": "float", "epoch": 1, "loss": 0.5, "auc": 0.7},
        {"phase": "quantized", "epoch": 1, "loss": 0.4},
    ]
    write_curves(rows, tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert written == [{"epoch": "1", "loss": "0.5", "auc": "0.7"}, {"epoch": "2", "loss": "0.4", "auc": ""}]


def test_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    for extra in extras.EXTRAS:
        with pytest.raises(ToolError, match=rf"pip install 'hitfabric\[{extra}\]'"):
            extras.require_extra(extra)


def test_every_package_has_its_extra() -> None:
    assert extras.extra_of("torch") == "train"
    assert extras.extra_of("tritonclient") == "serve"
    assert extras.extra_of("antigravity") is None


def test_shipped_model_is_whole() -> None:
    model = find_model(None)
    assert (model.chain / "chain.json").is_file()
    assert model.sector is not None
    assert (model.sector / "graph.json").is_file()


def test_no_model_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no trained chain"):
        find_model(tmp_path)


def test_quick_settings_are_accepted_and_can_be_overridden() -> None:
    config = load_config(DemoConfig, None, {**quick_config(), "requests": 7})
    assert config.requests == 7
    assert config.simulation.events >= config.test_events + 3
    with pytest.raises(ConfigError, match="requests"):
        load_config(DemoConfig, None, {**quick_config(), "requests": 0})
