"""Tracing trained models: Brevitas equals golden at every visible node; what breaks the contract is named."""

from __future__ import annotations

from collections.abc import Callable

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hitfabric.core import ContractError
from hitfabric.emulation import compare_executors, extreme_vectors, make_executor
from hitfabric.quantization import Maxima
from hitfabric.quantization.linter import lint
from hitfabric.quantization.modules import EdgeAggregate, EdgeGather
from hitfabric.quantization.presets import activation_quantizer, bias_quantizer, quantized_mlp, weight_quantizer
from hitfabric.quantization.reference import BrevitasReference
from hitfabric.quantization.tracer import trace
from support.random_graphs import random_inputs


def identity(bits: int = 8) -> qnn.QuantIdentity:
    return qnn.QuantIdentity(act_quant=activation_quantizer(bits, signed=True))


class Perceptron(nn.Module):
    def __init__(self, *, bits: int = 6, per_channel: bool = False) -> None:
        super().__init__()
        self.quantize = identity(bits)
        weights = weight_quantizer(bits, per_channel)
        self.first = qnn.QuantLinear(5, 7, bias=True, weight_quant=weights, bias_quant=bias_quantizer(bits))
        self.relu = qnn.QuantReLU(act_quant=activation_quantizer(bits, signed=False))
        self.drop = nn.Dropout(0.1)
        self.last = qnn.QuantLinear(7, 3, bias=False, weight_quant=weight_quantizer(bits))

    def forward(self, features: Tensor) -> Tensor:
        return self.last(self.drop(self.relu(self.first(self.quantize(features)))))


class Residual(nn.Module):
    """Shared weights over two rounds, concat, add, sum and max aggregation at both ends."""

    def __init__(self, *, bits: int = 6) -> None:
        super().__init__()
        self.input_shapes = {"nodes": ("N", 4), "edge_index": ("E", 2)}
        self.quantize = identity(bits)
        self.gather = EdgeGather()
        self.message = quantized_mlp((8, 6, 4), weight_bits=bits, activation_bits=bits, last_activation=True)
        self.total, self.largest = EdgeAggregate(column=1), EdgeAggregate(column=0, mode="max")
        self.total_quant, self.largest_quant, self.node_quant = identity(bits), identity(bits), identity(bits)
        self.update = quantized_mlp((12, 4), weight_bits=bits, activation_bits=bits)
        self.score = quantized_mlp((8, 1), weight_bits=bits, activation_bits=bits)

    def forward(self, nodes: Tensor, edge_index: Tensor) -> Tensor:
        x = self.quantize(nodes)
        for _ in range(2):
            edges = self.message(self.gather(x, edge_index))
            total = self.total_quant(self.total(edges, edge_index, x))
            largest = self.largest_quant(self.largest(edges, edge_index, x))
            x = self.node_quant(self.update(torch.cat([x, total, largest], dim=-1)) + x)
        return self.score(self.gather(x, edge_index))


def trained(model: nn.Module, make_inputs: Callable[[], tuple[Tensor, ...]], *, steps: int = 30) -> nn.Module:
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    model.train()
    for _ in range(steps):
        loss = (model(*make_inputs()) - 1.0).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def assert_bit_accurate(model: nn.Module, *, sizes: dict[str, int]) -> None:
    graph = trace(model, name="network", maxima=Maxima(nodes=20, edges=40))
    batches = [random_inputs(graph, seed=seed, sizes=sizes) for seed in range(3)]
    others = [BrevitasReference(model, graph), make_executor("native", graph)]
    ladder = compare_executors(make_executor("golden", graph), others, [*batches, *extreme_vectors(graph)])
    assert ladder.mismatches == {"network": {"brevitas": 0, "native": 0}}
    assert ladder.compared > 1000


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_perceptron_is_bit_accurate(bits: int, per_channel: bool) -> None:
    torch.manual_seed(bits)
    model = trained(Perceptron(bits=bits, per_channel=per_channel), lambda: (torch.randn(64, 5),))
    assert_bit_accurate(model, sizes={"R": 300})


@pytest.mark.parametrize("bits", [3, 8])
def test_residual_graph_network_is_bit_accurate(bits: int) -> None:
    torch.manual_seed(bits)
    model = trained(Residual(bits=bits), lambda: (torch.randn(20, 4), torch.randint(0, 20, (40, 2))))
    assert_bit_accurate(model, sizes={"N": 17, "E": 33})


def test_reference_refuses_another_model() -> None:
    torch.manual_seed(0)
    one, other = (trained(Perceptron(), lambda: (torch.randn(64, 5),), steps=steps) for steps in (25, 30))
    with pytest.raises(ContractError, match="not the one"):
        BrevitasReference(other, trace(one, name="network"))


def test_reference_calls_the_model_itself() -> None:
    class Hidden(Perceptron):
        def forward(self, features: Tensor) -> Tensor:
            result = super().forward(features)
            return result if isinstance(features, torch.fx.Proxy) else -result  # torch.fx never sees the sign

    torch.manual_seed(0)
    model = trained(Hidden(), lambda: (torch.randn(64, 5),))
    graph = trace(model, name="network")
    with pytest.raises(ContractError, match=r"torch\.fx does not see"):
        BrevitasReference(model, graph).run(random_inputs(graph, seed=0, sizes={"R": 20}))


def broken(change: Callable[[Perceptron], None]) -> nn.Module:
    model = Perceptron()
    change(model)
    return trained(model, lambda: (torch.randn(64, 5),), steps=25)


def set_float_linear(model: Perceptron) -> None:
    model.last = nn.Linear(7, 3)  # type: ignore[assignment] - the fault under test


def set_float_relu(model: Perceptron) -> None:
    model.relu = nn.ReLU()  # type: ignore[assignment] - the fault under test


def set_float_scale(model: Perceptron) -> None:
    model.relu = qnn.QuantReLU()  # Brevitas' default scale is any float


def set_float_weights(model: Perceptron) -> None:
    model.last = qnn.QuantLinear(7, 3, bias=False, weight_quant=None)


def set_float_bias(model: Perceptron) -> None:
    model.first = qnn.QuantLinear(5, 7, bias=True, weight_quant=weight_quantizer(6))


def set_sigmoid(model: Perceptron) -> None:
    model.drop = nn.Sigmoid()  # type: ignore[assignment] - the fault under test


def set_unquantized_input(model: Perceptron) -> None:
    model.quantize = nn.Identity()  # type: ignore[assignment] - the fault under test


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_float_linear, "module last is Linear"),
        (set_float_relu, "module relu is ReLU"),
        (set_float_scale, "module relu has a scale that is not a power of two"),
        (set_float_weights, "module last has float weights"),
        (set_float_bias, "module first has a float bias"),
        (set_sigmoid, "module drop is Sigmoid.*logit"),
        (set_unquantized_input, "input features is not quantized"),
    ],
)
def test_broken_contract_names_module_and_rule(change: Callable[[Perceptron], None], named: str) -> None:
    with pytest.raises(ContractError, match=named):
        trace(broken(change), name="network")


def test_lint_lists_every_violation() -> None:
    def change(model: Perceptron) -> None:
        set_float_relu(model)
        set_float_weights(model)

    assert [violation.module for violation in lint(broken(change)).violations] == ["relu", "last"]
    assert lint(broken(lambda model: None)).passed


def test_model_that_cannot_be_traced() -> None:
    class Branching(Perceptron):
        def forward(self, features: Tensor) -> Tensor:
            return super().forward(features) if features.sum() > 0 else features

    with pytest.raises(ContractError, match="cannot be traced"):
        trace(Branching(), name="network")


def test_numpy_integers_of_weights_are_those_of_the_model() -> None:
    torch.manual_seed(1)
    model = trained(Perceptron(per_channel=True), lambda: (torch.randn(64, 5),))
    node = trace(model, name="network")["first"]
    values = node.weight_format.to_float(node.weight)  # type: ignore[attr-defined] - a Dense node
    assert np.array_equal(values, model.first.quant_weight().value.detach().numpy())
