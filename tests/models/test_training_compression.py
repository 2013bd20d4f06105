"""Pruning, narrowing, accumulator bounds and bits of single layers, on tiny graphs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hitfabric.core import ConfigError, ContractError, load_config
from hitfabric.models.accumulators import accumulator_widths, bound_accumulators
from hitfabric.models.calibration import BATCHES, calibrate, refine_scales
from hitfabric.models.config import InteractionConfig
from hitfabric.models.layer_bits import activation_layers, weight_layers
from hitfabric.models.narrowing import narrow
from hitfabric.models.networks import InteractionNetwork
from hitfabric.models.pruning import choose_masks, sparsity_of_round
from hitfabric.models.training_config import InteractionTraining, PruningConfig, ScheduleConfig
from hitfabric.models.training_interaction import interaction_task, train_interaction
from hitfabric.models.training_loop import History, warm_start
from hitfabric.quantization import Maxima, TypedGraph
from hitfabric.quantization.linter import lint
from hitfabric.quantization.nodes import Dense
from hitfabric.quantization.tracer import trace
from support.tiny_training import make_graphs, train_tiny


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
