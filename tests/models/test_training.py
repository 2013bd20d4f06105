"""Training on small simulated events: it learns, it repeats itself, and it says what is wrong."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hitfabric.core import ConfigError, DataError, load_config
from hitfabric.detector import Event, GraphSample, truth_edges, write_event
from hitfabric.detector.simulation_helix import simulate_helix_event
from hitfabric.models.metrics import match_tracks
from hitfabric.models.training_chain import TrainedChain, train_chain
from hitfabric.models.training_config import ChainTraining, DataConfig, InteractionTraining, ScheduleConfig
from hitfabric.models.training_data import TrainingEvent, load_events
from hitfabric.models.training_embedding import train_embedding
from hitfabric.models.training_filter import make_pairs, train_filter
from hitfabric.models.training_interaction import LabelledGraph, edge_auc, train_interaction
from hitfabric.models.training_loop import History, Task, train
from hitfabric.quantization.linter import lint

SHORT = ScheduleConfig(float_epochs=2, quantized_epochs=1, steps=15, learning_rate=5e-3)


def make_event(seed: int, pile_up: float = 4.0) -> Event:
    return simulate_helix_event(f"event{seed:09d}", rng=np.random.default_rng(seed), pile_up=pile_up)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    for seed in range(4):
        write_event(make_event(seed), folder)
    return folder


def short_chain() -> ChainTraining:
    networks = {"embedding": {"true_pairs": 300, "queries": 300}, "filter": {"batch": 512}, "interaction_network": {}}
    values = {name: {**options, "schedule": SHORT} for name, options in networks.items()}
    return ChainTraining.model_validate({"data": {"events": 3, "signal_min_pt": 0.8}, "seed": 3, **values})


@pytest.fixture(scope="module")
def trained(events: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedChain, Path]:
    out = tmp_path_factory.mktemp("run")
    return train_chain(events, out, short_chain()), out


def test_the_chain_learns_and_is_written(trained: tuple[TrainedChain, Path]) -> None:
    chain, out = trained
    assert all(lint(network).passed for network in chain.networks.values())
    assert 0.97 <= chain.metrics["radius_graph_efficiency"] <= 1.0
    assert chain.metrics["filter_efficiency"] <= chain.metrics["radius_graph_efficiency"]
    assert chain.metrics["filter_purity"] > chain.metrics["radius_graph_purity"]
    assert chain.metrics["interaction_auc"] > 0.6
    assert chain.metrics["track_efficiency"] > 0.3
    for name in chain.networks:
        assert (out / f"{name}.pt").is_file()
        with (out / f"{name}.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        assert [row["phase"] for row in rows] == ["float", "float", "quantized"]
    assert (out / "trained.json").is_file() and (out / "run.json").is_file()


def test_training_repeats_itself(trained: tuple[TrainedChain, Path], events: Path) -> None:
    first, second = trained[0], train_chain(events, None, short_chain())
    assert first.settings() == second.settings() and first.metrics == second.metrics
    for name, network in first.networks.items():
        other = second.networks[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in network.state_dict().items())


def test_no_network_goes_on_with_other_data(
    trained: tuple[TrainedChain, Path], events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, chain = short_chain(), trained[0]
    training, validation = load_events(events, config.data)
    radius, states = chain.cuts.radius, {}
    for name in ("embedding", "filter"):
        states[name] = shutil.copy(trained[1] / f"{name}.state", tmp_path)
    kept = {name: Path(path).read_bytes() for name, path in states.items()}

    def embed(events: list[TrainingEvent]) -> None:
        path = tmp_path / "embedding.state"
        train_embedding(events, validation, config.embedding, seed=config.seed, history=History(), resume=path)

    def sift(radius: float) -> None:
        tables, checks = (make_pairs(chain.embedding, part, radius) for part in (training, validation))
        path = tmp_path / "filter.state"
        train_filter(tables, checks, config.filter, seed=config.seed, history=History(), resume=path)

    embed(training)
    sift(radius)
    changed = [dataclasses.replace(training[0], features=training[0].features + np.float32(1e-3)), *training[1:]]
    windowed = training[0].data.model_copy(update={"window": None})
    for other in (changed, training[::-1], [dataclasses.replace(item, data=windowed) for item in training]):
        with pytest.raises(DataError, match=r"embedding\.state is the state of a training on other data"):
            embed(other)
    with pytest.raises(DataError, match=r"filter\.state .* another network before it let through; give the same data"):
        sift(radius * 1.05)
    assert {name: Path(path).read_bytes() for name, path in states.items()} == kept
    assert "(float)" not in capsys.readouterr().err  # nothing was trained


def test_the_interaction_network_tells_straight_from_crossed_edges() -> None:
    random = np.random.default_rng(0)
    graphs = []
    for number in range(12):
        nodes = random.normal(size=(40, 3)).astype(np.float32)
        index = random.integers(0, 40, size=(80, 2))
        edges = random.normal(size=(80, 4)).astype(np.float32) * np.array([1e-2, 1, 1, 4], dtype=np.float32)
        sample = GraphSample(
            name=str(number),
            nodes=nodes,
            edges=edges,
            edge_index=index.astype(np.int64),
            labels=(100 * edges[:, 0] + nodes[index[:, 0], 1] > 0),
            particle_id=np.zeros(40, dtype=np.int64),
        )
        graphs.append(LabelledGraph.from_sample(sample))
    schedule = ScheduleConfig(float_epochs=3, quantized_epochs=2, steps=60, learning_rate=2e-2)
    config = InteractionTraining(schedule=schedule)
    history = History()
    network = train_interaction(graphs[:10], graphs[10:], config, seed=0, history=history).network
    assert edge_auc(network, graphs[10:]) > 0.95
    assert max(row["auc"] for row in history.rows if row["phase"] == "quantized") == edge_auc(network, graphs[10:])


def test_targets_hold_tracks_together_where_true_edges_do_not() -> None:
    event = make_event(1)
    assert event.particle_id is not None
    # A second hit in an overlapping module splits what consecutive hits on different layers join.
    doubled = event.take(np.repeat(np.arange(len(event)), 2))
    moved = {name: getattr(doubled, name) + np.tile([0, 1e-3], len(event)).astype(np.float32) for name in ("x", "y")}
    arrays = {name: getattr(doubled, name) for name in ("z", "volume_id", "layer_id", "module_id", "particle_id")}
    overlapping = Event(
        name="overlapping", hit_id=np.arange(len(doubled)), particles=event.particles, **moved, **arrays
    )
    prepared = TrainingEvent.prepare(overlapping, DataConfig(volumes=None))
    pairs = np.argwhere(np.triu(np.ones((len(doubled), len(doubled)), dtype=bool), 1))[:200_000]
    targets = prepared.targets(pairs)
    assert (prepared.labels(pairs) <= targets).all()
    assert targets.sum() > prepared.labels(pairs).sum()
    assert not (targets & ~prepared.learned(pairs)).any()
    assert not (prepared.labels(pairs) & ~prepared.used(pairs)).any()
    assert (prepared.layer_rank.reshape(-1, 2) >= 0).all()


def test_layer_ranks_follow_the_particle_outwards() -> None:
    event = make_event(2)
    prepared = TrainingEvent.prepare(event, DataConfig(volumes=None, signal_min_pt=0.5))
    for sender, receiver in truth_edges(event, 0.5)[:300].tolist():
        assert abs(prepared.layer_rank[sender] - prepared.layer_rank[receiver]) == 1


def test_data_errors_name_the_remedy(events: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"4 events, 9 \+ 1 are needed"):
        load_events(events, DataConfig(events=9))
    with pytest.raises(DataError, match="lower signal_min_pt"):
        load_events(events, DataConfig(events=1, signal_min_pt=1000.0))
    with pytest.raises(DataError, match="no graphs with edges"):
        train_interaction([], [], InteractionTraining(), seed=0, history=History())
    with pytest.raises(ConfigError, match="ignored_min_pt must not exceed"):
        load_config(DataConfig, overrides={"ignored_min_pt": 2.0})
    training, validation = load_events(events, DataConfig(events=None))
    assert (len(training), len(validation)) == (3, 1)


def test_a_diverging_loss_is_an_error() -> None:
    task = Task(
        name="broken",
        make=lambda quantized: nn.Linear(1, 1),
        loss=lambda network: network(torch.ones(1, 1)).sum() * float("inf"),
        evaluate=lambda network: {"figure": 0.0},
        score="figure",
    )
    with pytest.raises(DataError, match="lower the learning rate"):
        train(task, ScheduleConfig(float_epochs=1, steps=2), History())


def test_a_run_cut_short_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    task = Task(
        name="slow",
        make=lambda quantized: nn.Linear(1, 1),
        loss=lambda network: network(torch.ones(1, 1)).square().sum(),
        evaluate=lambda network: {"figure": 0.0},
        score="figure",
    )
    history = History()
    train(task, ScheduleConfig(float_epochs=0, quantized_epochs=5, steps=1, seconds=1e-9), history)
    assert len(history.rows) == 1
    assert "1 of 5 epochs" in capsys.readouterr().err


def test_perfect_edges_give_perfect_tracks() -> None:
    event = make_event(3)
    assert event.particles is not None and event.particle_id is not None
    matching = match_tracks(event, event.particle_row)
    assert matching.efficiency == 1.0 and matching.fake_rate == 0.0 and matching.duplicate_rate == 0.0
