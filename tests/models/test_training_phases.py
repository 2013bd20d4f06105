"""Pruning, narrowing, accumulator bounds, resuming, patience and costs, on tiny graphs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hitfabric.core import ConfigError, ContractError, DataError, load_config
from hitfabric.models import training_phase
from hitfabric.models.accumulators import accumulator_widths, bound_accumulators
from hitfabric.models.calibration import BATCHES, calibrate, refine_scales
from hitfabric.models.config import InteractionConfig
from hitfabric.models.layer_bits import activation_layers, weight_layers
from hitfabric.models.narrowing import narrow
from hitfabric.models.networks import InteractionNetwork
from hitfabric.models.pruning import choose_masks, sparsity_of_round
from hitfabric.models.training_config import InteractionTraining, PruningConfig, ScheduleConfig
from hitfabric.models.training_cost import float_cost, network_cost
from hitfabric.models.training_interaction import LabelledGraph, interaction_task, train_interaction
from hitfabric.models.training_loop import History, Task, TrainedPair, choose_device, train, warm_start
from hitfabric.models.training_state import fingerprint
from hitfabric.models.training_task import Row
from hitfabric.quantization import Maxima, TypedGraph
from hitfabric.quantization.cost import graph_cost
from hitfabric.quantization.linter import lint
from hitfabric.quantization.nodes import Dense
from hitfabric.quantization.tracer import trace

Trained: TypeAlias = TrainedPair[InteractionNetwork]
TINY = InteractionConfig(width=4, input_bits=8, weight_bits=4, activation_bits=4)
PRUNED = ScheduleConfig(
    float_epochs=2,
    quantized_epochs=2,
    steps=4,
    learning_rate=1e-2,
    device="cpu",
    pruning=PruningConfig(sparsity=0.6, rounds=2, epochs=1, rewind_epoch=1),
)


def make_graphs(count: int = 6, seed: int = 0) -> list[LabelledGraph]:
    random = np.random.default_rng(seed)
    graphs = []
    for _ in range(count):
        edges = random.normal(size=(40, 4)).astype(np.float32)
        graphs.append(
            LabelledGraph(
                nodes=random.normal(size=(20, 3)).astype(np.float32),
                edges=edges,
                edge_index=random.integers(0, 20, size=(40, 2)),
                labels=edges[:, 0] + edges[:, 1] > 0,
                used=np.ones(40, dtype=bool),
            )
        )
    return graphs


def train_tiny(
    schedule: ScheduleConfig, history: History | None = None, resume: Path | None = None, **options: Any
) -> Trained:
    network = InteractionConfig.model_validate({**TINY.model_dump(), **options})
    config = InteractionTraining(schedule=schedule, network=network, pruned_from=6)
    graphs = make_graphs()
    return train_interaction(graphs[:4], graphs[4:], config, seed=1, history=history or History(), resume=resume)


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


@given(sparsity=st.floats(0.01, 0.99), scope=st.sampled_from(["global", "layer"]), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_masks_remove_exactly_the_smallest_weights(sparsity: float, scope: str, seed: int) -> None:
    torch.manual_seed(seed)
    network = InteractionNetwork(config=InteractionConfig(width=4), quantized=False)
    config = PruningConfig.model_validate({"sparsity": sparsity, "scope": scope})
    masks = choose_masks(network, config, sparsity)
    state = network.state_dict()
    assert not any("scaling" in name for name in masks)
    groups = [[name] for name in masks] if scope == "layer" else [list(masks)]
    for group in groups:
        magnitude = torch.cat([state[name].abs().flatten() for name in group])
        mask = torch.cat([masks[name].flatten() for name in group])
        assert int((~mask).sum()) == round(sparsity * len(mask))
        if mask.any() and not mask.all():
            assert magnitude[~mask].max() <= magnitude[mask].min()


def test_rounds_of_pruning_end_at_the_sparsity_asked_for() -> None:
    config = PruningConfig(sparsity=0.8, rounds=4)
    found = [sparsity_of_round(config, number) for number in range(1, 5)]
    assert found == sorted(found) and found[-1] == pytest.approx(0.8)
    with pytest.raises(ConfigError, match="rewind_epoch must be one of them"):
        load_config(ScheduleConfig, None, {"float_epochs": 1, "pruning.rewind_epoch": 2})
    with pytest.raises(ConfigError, match="pruning needs float_epochs"):
        load_config(ScheduleConfig, None, {"float_epochs": 0, "pruning.rewind_epoch": 1})


@pytest.mark.parametrize("options", [{}, {"rounds": 3}, {"rounds": 2, "aggregate_senders": True}])
def test_a_network_whose_other_units_are_dead_is_narrowed_without_a_change(options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    small = InteractionNetwork(config=InteractionConfig(width=3, **options), quantized=False)
    wide = InteractionNetwork(config=InteractionConfig(width=5, **options), quantized=False)
    narrowed = narrow(wide, 3)
    assert narrowed.config.width == 3
    # Silence the units that were left out, by narrowing a network that is dead but for three units.
    with torch.no_grad():
        for path, layer in wide.named_modules():
            if isinstance(layer, nn.Linear) and "scaling" not in path and path != "output.dense1":
                layer.weight[1], layer.weight[3] = 0, 0
                layer.bias[1], layer.bias[3] = 0, 0
    graph = make_graphs(1)[0]
    inputs = [torch.from_numpy(array) for array in (graph.nodes, graph.edges, graph.edge_index)]
    with torch.no_grad():
        assert torch.allclose(narrow(wide, 3)(*inputs), wide(*inputs), rtol=1e-5, atol=1e-6)
    assert [value.shape for value in narrowed.state_dict().values()] == [
        value.shape for value in small.state_dict().values()
    ]


def test_only_plain_networks_are_narrowed() -> None:
    shared = InteractionNetwork(config=InteractionConfig(width=4, shared=True), quantized=False)
    with pytest.raises(ConfigError, match="leave pruned_from out"):
        narrow(shared, 2)
    with pytest.raises(ConfigError, match="has no 9 units"):
        narrow(InteractionNetwork(quantized=False), 9)
    with pytest.raises(ConfigError, match=r"must not be less than network\.width"):
        load_config(InteractionTraining, None, {"pruned_from": 4})


def worst_sums(graph: TypedGraph) -> dict[str, int]:
    """Largest magnitude of any partial sum of a layer, by brute force over the signs of the inputs."""
    found = {}
    for node in graph.nodes:
        if not isinstance(node, Dense):
            continue
        (source,) = (graph[name].tensor for name in node.inputs)
        shift = node.tensor.format.fraction - node.weight_format.fraction - source.format.fraction
        worst = 0
        for row, bias in zip(node.weight.tolist(), node.bias.tolist() if node.bias is not None else [], strict=True):
            assert node.bias_format is not None
            start = bias << (node.tensor.format.fraction - node.bias_format.fraction)
            products = [[(weight * end) << shift for end in (source.low, source.high, 0)] for weight in row]
            worst = max(worst, start + sum(map(max, products)), -(start + sum(map(min, products))))
        found[node.name] = worst
    return found


def test_accumulators_stay_within_the_bits_asked_for() -> None:
    schedule = ScheduleConfig(float_epochs=1, quantized_epochs=2, steps=4, learning_rate=1e-2)
    options: dict[str, Any] = {"width": 6, "weight_bits": 6, "activation_bits": 6}
    free = trace(train_tiny(schedule, **options).network, name="free", maxima=Maxima())
    widths = accumulator_widths(free)
    bits = max(widths.values()) - 1
    bounded_schedule = schedule.model_copy(update={"accumulator_bits": bits})
    bounded = trace(train_tiny(bounded_schedule, **options).network, name="bounded", maxima=Maxima())
    assert max(accumulator_widths(bounded).values()) <= bits
    assert max(worst_sums(bounded).values()) < 2 ** (bits - 1)
    for name, worst in worst_sums(free).items():
        assert worst < 2 ** (widths[name] - 1)


def test_an_impossible_accumulator_is_an_error() -> None:
    network = train_tiny(ScheduleConfig(float_epochs=1, quantized_epochs=1, steps=2)).network
    with pytest.raises(ContractError, match="does not fit into accumulators of 5 bits; raise accumulator_bits"):
        bound_accumulators(network, 5)


def test_scales_chosen_by_the_loss_are_lower_where_few_bits_gain_from_it() -> None:
    config = InteractionTraining(network=InteractionConfig(width=8, weight_bits=8, activation_bits=3))
    float_schedule = ScheduleConfig(float_epochs=4, quantized_epochs=0, steps=40, learning_rate=1e-2)
    graphs = make_graphs(8)
    start = train_interaction(
        graphs, graphs, config.model_copy(update={"schedule": float_schedule}), seed=0, history=History()
    ).network
    task = interaction_task(graphs, graphs, config, seed=0)
    network = task.make(True)
    warm_start(network, start.state_dict())
    task.begin(1, 0)
    calibrate(network, task.loss)

    def restart() -> None:
        task.begin(1, 0)

    def loss() -> float:
        restart()
        with torch.no_grad():
            return sum(float(task.loss(network)) for _ in range(BATCHES))

    def scales() -> dict[str, float]:
        return {
            name: float(value.detach())
            for name, value in network.named_parameters()
            if name.endswith("scaling_impl.value")
        }

    before, ranges = loss(), scales()
    refine_scales(network, task.loss, restart=restart)
    after = {name: ranges[name] - value for name, value in scales().items()}
    assert loss() < before
    assert set(after.values()) <= {0.0, 1.0, 2.0, 3.0, 4.0} and max(after.values()) > 0
    assert lint(network.eval()).passed


def test_layers_take_their_own_bits() -> None:
    config = InteractionConfig(
        width=4,
        layer_weight_bits={"output.dense0": 3},
        layer_activation_bits={"node_scaling.output_quant": 9, "output.relu0": 5},
    )
    schedule = ScheduleConfig(float_epochs=1, quantized_epochs=1, steps=2)
    trained = train_interaction(
        make_graphs(2),
        make_graphs(1),
        InteractionTraining(network=config, schedule=schedule),
        seed=0,
        history=History(),
    )
    graph = trace(trained.network, name="network", maxima=Maxima())
    widths = {node.name: node.weight_format.width for node in graph.nodes if isinstance(node, Dense)}
    assert widths.pop("output_dense0") == 3 and set(widths.values()) == {8}
    assert graph["node_scaling_output_quant"].tensor.format.width == 9
    assert graph["output_relu0"].tensor.format.width == 5
    assert graph["edge_scaling_output_quant"].tensor.format.width == 12
    assert "output.dense0" in weight_layers(trained.network)
    assert {"node_scaling.output_quant", "output.relu0"} <= set(activation_layers(trained.network))
    with pytest.raises(ConfigError, match=r"names output\.dense9, which is no such layer; use one of"):
        InteractionNetwork(config=InteractionConfig(layer_weight_bits={"output.dense9": 3}))


def test_widths_of_messages_and_states_are_free() -> None:
    published = InteractionConfig(width=40, message_width=4, state_width=3, hidden_layers=2)
    network = InteractionNetwork(config=published, quantized=False)
    scaling = sum(value.numel() for name, value in network.state_dict().items() if "scaling" in name)
    assert sum(value.numel() for value in network.parameters()) - scaling == 6448  # Elabd et al., arXiv:2112.02048


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
