"""Phases of a training: what each leaves behind, resuming, patience and costs, on tiny graphs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hitfabric.core import ConfigError, DataError
from hitfabric.models import training_phase
from hitfabric.models.networks import InteractionNetwork
from hitfabric.models.training_config import InteractionTraining, PruningConfig, ScheduleConfig
from hitfabric.models.training_cost import float_cost, network_cost
from hitfabric.models.training_interaction import train_interaction
from hitfabric.models.training_loop import History, Task, choose_device, train
from hitfabric.models.training_state import fingerprint
from hitfabric.models.training_task import Row
from hitfabric.quantization import Maxima
from hitfabric.quantization.cost import graph_cost
from hitfabric.quantization.nodes import Dense
from hitfabric.quantization.tracer import trace
from support.tiny_training import TINY, Trained, make_graphs, train_tiny

PRUNED = ScheduleConfig(
    float_epochs=2,
    quantized_epochs=2,
    steps=4,
    learning_rate=1e-2,
    device="cpu",
    pruning=PruningConfig(sparsity=0.6, rounds=2, epochs=1, rewind_epoch=1),
)


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_equal(first: nn.Module, second: nn.Module) -> None:
    ours, others = tensors(first), tensors(second)
    assert ours.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in ours.items())


def without_times(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def pruned() -> tuple[Trained, History]:
    history = History()
    return train_tiny(PRUNED, history), history


def test_pruned_weights_are_zero_integers(pruned: tuple[Trained, History]) -> None:
    trained, history = pruned
    graph = trace(trained.network, name="network", maxima=Maxima())
    dense = [node for node in graph.nodes if isinstance(node, Dense)]
    weights = [node.weight for node in dense if "scaling" not in node.name]
    zeros, count = sum(int((weight == 0).sum()) for weight in weights), sum(weight.size for weight in weights)
    assert zeros >= round(0.6 * count)
    assert [row["phase"] for row in history.rows] == (
        ["float"] * 2 + ["narrow"] * 2 + ["pruned 1", "pruned 2"] + ["quantized"] * 2
    )
    nonzero = [row["nonzero_weights"] for row in history.rows]
    assert nonzero[0] > nonzero[2] > nonzero[4] > nonzero[5] >= nonzero[6]
    assert trained.float_twin is not None and trained.float_twin.config.width == 6


def test_the_cost_of_every_epoch_is_that_of_the_typed_graph(pruned: tuple[Trained, History]) -> None:
    network, history = pruned[0].network, pruned[1]
    cost = graph_cost(trace(network, name="network", maxima=Maxima()))
    figures = network_cost(network)
    assert figures == {
        "macs": cost.macs, "bops": cost.bops, "ebops": cost.ebops, "nonzero_weights": cost.nonzero_weights
    }  # fmt: skip
    best = max((row for row in history.rows if row["phase"] == "quantized"), key=lambda row: row["auc"])
    assert {name: best[name] for name in figures} == figures
    assert float_cost(network)["macs"] == cost.macs  # counted by hooks, without the typed graph
    dense = float_cost(InteractionNetwork(config=network.config, quantized=False))
    assert dense["macs"] == cost.macs and dense["bops"] > 1024 * 0.9 * cost.macs


@pytest.mark.parametrize("killed_after", range(1, 8))
def test_a_training_that_was_killed_ends_with_the_same_bits(
    killed_after: int, pruned: tuple[Trained, History], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, real, epochs = tmp_path / "state.pt", training_phase.TrainingState.write, [0]

    def write_and_die(self: training_phase.TrainingState) -> None:
        real(self)
        epochs[0] = len(self.rows)
        if len(self.rows) == killed_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_phase.TrainingState, "write", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(PRUNED, resume=state)
    torch.rand(3)  # whatever else drew random numbers
    history = History()
    continued = train_tiny(PRUNED, history, resume=state)
    assert_equal(continued.network, pruned[0].network)
    assert continued.float_twin is not None and pruned[0].float_twin is not None
    assert_equal(continued.float_twin, pruned[0].float_twin)
    assert without_times(history.rows) == without_times(pruned[1].rows)
    again = History()
    assert_equal(train_tiny(PRUNED, again, resume=state).network, continued.network)  # nothing is left to train
    assert again.rows == history.rows


def test_a_state_of_another_training_is_refused(tmp_path: Path) -> None:
    schedule = ScheduleConfig(float_epochs=1, quantized_epochs=0, steps=1)
    state = tmp_path / "state.pt"
    train_tiny(schedule, resume=state)
    with pytest.raises(DataError, match="another configuration or seed; continue with the same settings"):
        train_tiny(schedule, resume=state, rounds=2)
    shuffled = make_graphs()[::-1]
    config = InteractionTraining(schedule=schedule, network=TINY, pruned_from=6)
    with pytest.raises(DataError, match="on other data, or on what another network before it let through"):
        train_interaction(shuffled[:4], shuffled[4:], config, seed=1, history=History(), resume=state)
    content = torch.load(state, weights_only=True)
    del content["data"]
    torch.save(content, state)
    with pytest.raises(DataError, match="is no state of a training"):
        train_tiny(schedule, resume=state)
    for content in (b"", b"PK\x03\x04 not a checkpoint"):
        state.write_bytes(content)
        with pytest.raises(DataError, match="is no state of a training; remove it"):
            train_tiny(schedule, resume=state)
    torch.save([1], state)
    with pytest.raises(DataError, match="is no state of a training"):
        train_tiny(schedule, resume=state)


@given(values=st.lists(st.integers(-3, 3), min_size=2, max_size=6), place=st.integers(0, 5))
def test_a_fingerprint_changes_with_every_value_shape_and_type(values: list[int], place: int) -> None:
    array = np.array(values, dtype=np.int64)
    other = array.copy()
    other[place % len(array)] += 1
    found = [
        fingerprint(arrays)
        for arrays in ([array], [other], [array[None]], [array.astype(np.int32)], [array, other], [other, array])
    ]
    found.append(fingerprint([array], settings="x"))
    assert len(set(found)) == len(found)
    assert fingerprint([np.stack([array, other])[:, ::2]]) == fingerprint([np.stack([array[::2], other[::2]])])


def toy(evaluate: Callable[[nn.Linear], dict[str, float]]) -> Task[nn.Linear]:
    return Task(
        name="toy",
        make=lambda quantized: nn.Linear(1, 1),
        loss=lambda network: network(torch.ones(1, 1)).square().sum(),
        evaluate=evaluate,
        score="figure",
    )


def test_patience_stops_a_phase_that_gets_no_better(capsys: pytest.CaptureFixture[str]) -> None:
    figures = iter([1.0, 3.0, 2.0, 2.5, 9.0])
    history = History()
    schedule = ScheduleConfig(float_epochs=5, quantized_epochs=0, steps=1, patience=2)
    pair = train(toy(lambda network: {"figure": next(figures)}), schedule, history)
    assert [row["figure"] for row in history.rows] == [1.0, 3.0, 2.0, 2.5]
    assert "no better epoch since 2" in capsys.readouterr().err
    assert pair.network is pair.float_twin


def test_devices_are_chosen_by_name() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps", "xpu")
    with pytest.raises(ConfigError, match="torch finds no device abacus; use one of auto, cpu"):
        choose_device("abacus")


def test_tensorboard_shows_every_epoch(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    history = History(tensorboard=tmp_path / "events")
    train_tiny(ScheduleConfig(float_epochs=1, quantized_epochs=1, steps=2), history)
    history.write(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    scalars: dict[tuple[str, int], float] = {}
    for file in (tmp_path / "events").iterdir():
        for record in records(file.read_bytes()):
            event = Event.FromString(record)
            scalars |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    for step, row in enumerate(rows, start=1):
        for name in ("loss", "auc", "bops"):
            assert scalars[name, step] == pytest.approx(float(row[name]), rel=1e-6)
    assert ("ebops", len(rows)) in scalars and ("ebops", 1) not in scalars


def records(content: bytes) -> list[bytes]:
    """Payloads of a TFRecord file: length (8 bytes), checksum (4), payload, checksum (4)."""
    found, place = [], 0
    while place < len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        found.append(content[place + 12 : place + 12 + length])
        place += 16 + length
    return found
