"""Interaction networks in every form and graph convolutions: contract, bit equality, float twins, PyG's formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hitfabric.core import ContractError
from hitfabric.emulation import compare_executors, make_executor
from hitfabric.models.config import ConvolutionConfig, InteractionConfig
from hitfabric.models.message_passing import ConvolutionNetwork, SenderFeatures, fold_difference
from hitfabric.models.networks import Interaction, InteractionNetwork, NodeInteractionNetwork
from hitfabric.models.pyg import load_pyg
from hitfabric.models.training_loop import calibrate
from hitfabric.quantization import Maxima
from hitfabric.quantization.linter import lint
from hitfabric.quantization.reference import BrevitasReference
from hitfabric.quantization.tracer import trace
from support.random_graphs import random_inputs

NODES, EDGES = 9, 17
torch.set_num_threads(1)  # networks this small lose more to threads than they gain


def inputs_of(model: nn.Module, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    sizes = {"N": NODES, "E": EDGES}
    return tuple(
        torch.randint(0, NODES, (EDGES, 2), generator=generator)
        if name == "edge_index"
        else torch.randn(sizes[shape[0]], shape[1], generator=generator)
        for name, shape in model.input_shapes.items()  # type: ignore[operator,union-attr] - a dictionary
    )


def assert_bit_accurate(model: Any) -> None:
    torch.manual_seed(0)
    inputs = inputs_of(model)
    calibrate(model, lambda network: network(*inputs).sum())
    model.eval()
    assert lint(model).violations == ()
    graph = trace(model, name="network", maxima=Maxima(nodes=NODES, edges=EDGES))
    batches = [random_inputs(graph, seed=seed, sizes={"N": NODES, "E": EDGES}) for seed in range(2)]
    ladder = compare_executors(make_executor("golden", graph), [BrevitasReference(model, graph)], batches)
    assert ladder.mismatches == {"network": {"brevitas": 0}}
    assert ladder.compared > 100


KINDS = (InteractionNetwork, NodeInteractionNetwork)
FORMS: list[dict[str, Any]] = [
    {"rounds": 8, "shared": True, "aggregation": "max"},
    {"rounds": 2, "skip": "residual", "aggregate_senders": True},
    {"rounds": 2, "skip": "concat", "shared": True},
    {"rounds": 2, "skip": "concat"},
    {"rounds": 3, "skip": "residual", "shared": True, "aggregation": "max"},
    {"rounds": 2, "aggregate_senders": True, "aggregation": "max", "per_channel": True},
]


@pytest.mark.parametrize(("kind", "form"), [(KINDS[number % 2], form) for number, form in enumerate(FORMS)], ids=str)
def test_interaction_networks_of_every_form(kind: type[Any], form: dict[str, Any]) -> None:
    torch.manual_seed(3)
    network = kind(config=InteractionConfig(width=4, **form))
    assert_bit_accurate(network)
    assert len(network.rounds) == (1 if form.get("shared") else form["rounds"])


def test_edges_into_a_node_do_not_reach_the_sender_unless_asked() -> None:
    """With receivers only, the last node of a line never changes the first one; with both ends it does."""
    index = torch.tensor([[0, 1], [1, 2]])
    for both in (False, True):
        torch.manual_seed(1)
        config = InteractionConfig(width=6, rounds=2, aggregate_senders=both)
        network: Interaction = NodeInteractionNetwork(config=config, quantized=False)
        nodes = torch.randn(3, 3)
        changed = nodes.clone()
        changed[2] += 5.0
        first = slice(0, 1)
        same = torch.equal(network(nodes, index)[first], network(changed, index)[first])
        assert same is not both


@pytest.mark.parametrize("kind", ["edge_conv", "gcn", "sage", "gin"])
@pytest.mark.parametrize(("scores", "aggregation"), [("edges", "sum"), ("nodes", "max")])
def test_convolutions_are_bit_accurate(kind: Any, scores: Any, aggregation: Any) -> None:
    torch.manual_seed(5)
    config = ConvolutionConfig(kind=kind, width=4, scores=scores, aggregation=aggregation, outputs=2)
    assert_bit_accurate(ConvolutionNetwork(config=config))


@pytest.mark.parametrize("kind", ["edge_conv", "gcn", "sage", "gin"])
def test_the_float_twin_shares_every_parameter(kind: Any) -> None:
    config = ConvolutionConfig(kind=kind)
    twin = ConvolutionNetwork(config=config, quantized=False)
    result = ConvolutionNetwork(config=config).load_state_dict(twin.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert all(name.endswith("scaling_impl.value") for name in result.missing_keys)


def test_sender_features_are_the_senders_half_exactly() -> None:
    ends = torch.randn(20, 6)
    for quantized in (True, False):
        layer = SenderFeatures(inputs=3, quantized=quantized).eval()
        assert torch.equal(layer(ends), ends[:, :3])


def test_the_difference_folds_into_the_weights() -> None:
    weight, own, other = torch.randn(5, 8), torch.randn(10, 4), torch.randn(10, 4)
    expected = torch.cat([own, other - own], dim=1) @ weight.T
    found = torch.cat([other, own], dim=1) @ fold_difference(weight).T
    assert torch.allclose(found, expected, atol=1e-5)


class PygNetwork(nn.Module):
    """What torch_geometric computes, by its documented formulas and its parameter names, in plain loops over edges."""

    def __init__(self, kind: str, *, width: int = 5, inputs: int = 3) -> None:
        super().__init__()
        self.kind = kind
        self.convs = nn.ModuleList()
        for size in (inputs, width):
            conv = nn.Module()
            if kind == "sage":
                conv.lin_l, conv.lin_r = nn.Linear(size, width), nn.Linear(size, width, bias=False)
            elif kind == "gcn":
                conv.lin, conv.bias = nn.Linear(size, width, bias=False), nn.Parameter(torch.randn(width))
            else:
                first = size if kind == "gin" else 2 * size
                last = [nn.ReLU()] if kind == "edge_conv" else []
                conv.nn = nn.Sequential(nn.Linear(first, width), nn.ReLU(), nn.Linear(width, width), *last)
                if kind == "gin":
                    conv.register_buffer("eps", torch.tensor([0.25]))
            self.convs.append(conv)
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1))

    def message(self, conv: Any, own: Tensor, other: Tensor) -> Tensor:
        return conv.nn(torch.cat([own, other - own])) if self.kind == "edge_conv" else other

    def update(self, conv: Any, total: Tensor, own: Tensor) -> Tensor:
        match self.kind:
            case "sage":
                return conv.lin_l(total) + conv.lin_r(own)
            case "gcn":  # normalize=False, add_self_loops=True
                return conv.lin(total + own) + conv.bias
            case "gin":
                return conv.nn(total + (1 + conv.eps) * own)
            case _:
                return total

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """PyG's convention: edge_index [2, E] of (source j, target i)."""
        pairs = edge_index.T.tolist()
        for conv in self.convs:
            size = self.message(conv, x[0], x[0]).shape[0]
            total = [torch.zeros(size) for _ in x]
            for j, i in pairs:
                total[i] = total[i] + self.message(conv, x[i], x[j])
            x = torch.stack([self.update(conv, total[i], x[i]) for i in range(len(x))]).relu()
        return torch.stack([self.head(torch.cat([x[j], x[i]])) for j, i in pairs])


@pytest.mark.parametrize("kind", ["edge_conv", "gcn", "sage", "gin"])
def test_pyg_weights_give_pygs_function_and_then_firmware(kind: Any) -> None:
    torch.manual_seed(7)
    pyg = PygNetwork(kind)
    config = ConvolutionConfig(kind=kind, width=5)
    twin = ConvolutionNetwork(config=config, quantized=False)
    load_pyg(twin, pyg.state_dict(), convolutions=("convs.0", "convs.1"), score="head")
    nodes, index = torch.randn(NODES, 3), torch.randint(0, NODES, (EDGES, 2))
    with torch.no_grad():
        expected = pyg(nodes, index.T)
        assert torch.allclose(twin(nodes, index), expected, atol=1e-4 * float(expected.abs().max()))
    network = ConvolutionNetwork(config=config)
    network.load_state_dict(twin.state_dict(), strict=False)
    assert_bit_accurate(network)


def test_pyg_states_that_do_not_fit_are_refused() -> None:
    state = PygNetwork("sage").state_dict()
    network = ConvolutionNetwork(config=ConvolutionConfig(kind="sage", width=5), quantized=False)
    for convolutions, score, named in [
        (("convs.0",), "head", "1 convolutions for a network of 2"),
        (("convs.0", "conv9"), "head", "no conv9.lin_l.weight"),
        (("convs.0", "convs.1"), "heads", "no layers under heads"),
        (("convs.1", "convs.0"), "head", r"weights \[5, 10\], the network \[5, 6\]"),
    ]:
        with pytest.raises(ContractError, match=named):
            load_pyg(network, state, convolutions=convolutions, score=score)
    with pytest.raises(ContractError, match="BatchNorm1d"):
        load_pyg(
            network, {**state, "head.1.running_mean": torch.ones(5)}, convolutions=("convs.0", "convs.1"), score="head"
        )
    deeper = {**state, "head.4.weight": torch.ones(1, 1)}
    with pytest.raises(ContractError, match="head has 3 layers"):
        load_pyg(network, deeper, convolutions=("convs.0", "convs.1"), score="head")


@pytest.mark.parametrize("extra", ["convs.0.lin.weight", "norms.0.weight", "head.1.running_var_of_mine"])
def test_pyg_parameters_that_nothing_takes_are_refused(extra: str) -> None:
    """A projection or a normalisation left out in silence would be another function."""
    network = ConvolutionNetwork(config=ConvolutionConfig(kind="sage", rounds=1, width=4), quantized=False)
    state = sage_state()
    before = network.score.get_parameter("dense0.weight").clone()
    with pytest.raises(ContractError, match=f"nothing takes {extra}"):
        load_pyg(network, {**state, extra: torch.ones(4)}, convolutions=("convs.0",), score="head")
    assert torch.equal(network.score.get_parameter("dense0.weight"), before)
    load_pyg(network, state, convolutions=("convs.0",), score="head")
    assert not torch.equal(network.score.get_parameter("dense0.weight"), before)


def test_pyg_layers_without_bias() -> None:
    network = ConvolutionNetwork(config=ConvolutionConfig(kind="sage", rounds=1, width=4), quantized=False)
    state = sage_state()
    del state["convs.0.lin_l.bias"]
    load_pyg(network, state, convolutions=("convs.0",), score="head")
    bias = network.convolutions[0].get_parameter("layers.dense0.bias")
    assert torch.equal(bias, torch.zeros(4))


def sage_state() -> dict[str, Tensor]:
    shapes = {"lin_l.weight": (4, 3), "lin_l.bias": (4,), "lin_r.weight": (4, 3)}
    state = {f"convs.0.{name}": torch.randn(shape) for name, shape in shapes.items()}
    head = {"0.weight": (4, 8), "0.bias": (4,), "2.weight": (1, 4), "2.bias": (1,)}
    return state | {f"head.{name}": torch.randn(shape) for name, shape in head.items()}
