"""What the tracer takes beyond the plain forms, and random models of every family: Brevitas equals golden."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils import prune

from hitfabric.emulation import compare_executors, extreme_vectors, make_executor
from hitfabric.quantization import Add, Concat, Dense, Maxima
from hitfabric.quantization.linter import lint
from hitfabric.quantization.modules import EdgeAggregate, EdgeGather
from hitfabric.quantization.presets import CALIBRATION_STEPS, preset, quantized_identity, quantized_mlp
from hitfabric.quantization.reference import BrevitasReference
from hitfabric.quantization.tracer import trace
from support.random_graphs import random_inputs
from support.random_models import KINDS, random_model

torch.set_num_threads(1)  # networks this small lose more to threads than they gain
MAXIMA = Maxima(nodes=7, edges=11)
SIZES = {"R": 20, "N": 6, "E": 9}


def calibrated(model: nn.Module, *inputs: Tensor) -> Any:
    model.train()
    with torch.no_grad():
        for _ in range(CALIBRATION_STEPS + 1):
            model(*inputs)
    return model.eval()


def mismatches(model: nn.Module, maxima: Maxima = MAXIMA, sizes: dict[str, int] = SIZES) -> tuple[int, int]:
    """Mismatches and values compared on random vectors and extremes."""
    graph = trace(model, name="network", maxima=maxima)
    batches = [*(random_inputs(graph, seed=seed, sizes=sizes) for seed in range(2)), *extreme_vectors(graph)]
    ladder = compare_executors(make_executor("golden", graph), [BrevitasReference(model, graph)], batches)
    return ladder.mismatches["network"]["brevitas"], ladder.compared


@pytest.mark.parametrize("kind", KINDS)
def test_random_models_are_bit_accurate(kind: Any) -> None:
    """One of each kind; tests/emulation/test_random_networks.py draws hundreds."""
    drawn = random_model(KINDS.index(kind), kind=kind)
    assert lint(drawn.model, maxima=drawn.maxima).violations == (), drawn.description
    wrong, compared = mismatches(drawn.model, drawn.maxima, {"R": 9, "N": drawn.maxima.nodes, "E": drawn.maxima.edges})
    assert wrong == 0, drawn.description
    assert compared > 20


def test_random_models_are_reproducible() -> None:
    for seed in (3, 11):
        first, second = (trace(r.model, name="n", maxima=r.maxima) for r in (random_model(seed), random_model(seed)))
        assert first.digest == second.digest
    assert random_model(3).description != random_model(4).description


class Joined(nn.Module):
    """Two layers of one input, joined by the operation under test."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.join = join
        self.quantize = quantized_identity(7)
        self.left = quantized_mlp((3, 4), weight_bits=4, activation_bits=5, last_activation=True)
        self.right = quantized_mlp((3, 4), weight_bits=6, activation_bits=3, last_activation=True)
        self.end = quantized_mlp((width, 2), weight_bits=5, activation_bits=5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.quantize(x)
        return self.end(self.join(self.left(x), self.right(x)))


JOINS: list[tuple[Callable[[Any, Any], Any], type[Any]]] = [
    (lambda a, b: torch.cat([a, b], dim=-1), Concat),
    (lambda a, b: torch.cat((a, b), 1), Concat),
    (lambda a, b: torch.cat(tensors=[a, b], dim=1), Concat),
    (lambda a, b: torch.concat([a, b], dim=-1), Concat),
    (lambda a, b: torch.concatenate([a, b], axis=-1), Concat),
    (lambda a, b: a + b, Add),
    (lambda a, b: torch.add(a, b), Add),
    (lambda a, b: torch.add(input=a, other=b, alpha=1), Add),
    (lambda a, b: a.add(b), Add),
    (lambda a, b: operator.iadd(a, b), Add),
    (lambda a, b: sum([a, b]), Add),
    (lambda a, b: torch.cat([a], dim=-1).contiguous().clone() + dropout(b, 0.5, False), Add),
    (lambda a, b: a + b + a, Add),
]


@pytest.mark.parametrize("case", range(len(JOINS)))
def test_joins(case: int) -> None:
    torch.manual_seed(case)
    join, kind = JOINS[case]
    model = calibrated(Joined(join, 8 if kind is Concat else 4), torch.randn(50, 3))
    assert any(isinstance(node, kind) for node in trace(model, name="joined").nodes)
    wrong, compared = mismatches(model)
    assert wrong == 0 and compared > 100


class Keywords(nn.Module):
    """Graph modules called by keyword, a raw input that only counts nodes, outputs by name, a part nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.input_shapes = {"nodes": ("N", 2), "edge_index": ("E", 2)}
        self.quantize, self.gather = quantized_identity(6), EdgeGather()
        self.message = quantized_mlp((4, 3), weight_bits=4, activation_bits=4, last_activation=True)
        self.sums, self.largest = EdgeAggregate(column=0), EdgeAggregate(column=1, mode="max")
        self.unused = nn.Linear(2, 2)

    def forward(self, nodes: Tensor, edge_index: Tensor) -> dict[str, Tensor]:
        x = self.quantize(input=nodes)
        self.unused(x)
        e = self.message(self.gather(nodes=x, edge_index=edge_index))
        largest = self.largest(edge_index=edge_index, edges=e, nodes=x)
        return {"sums": self.sums(e, edge_index=edge_index, nodes=nodes), "largest": largest}


def test_keyword_arguments_named_outputs_and_parts_nobody_reads() -> None:
    torch.manual_seed(0)
    model = calibrated(Keywords(), torch.randn(6, 2), torch.randint(0, 6, (9, 2)))
    graph = trace(model, name="network", maxima=MAXIMA)
    assert [node.name for node in graph.outputs] == ["sums", "largest"]
    assert sum(isinstance(node, Dense) for node in graph.nodes) == 1
    assert mismatches(model)[0] == 0


def test_a_sequential_model_and_an_output_named_as_a_layer() -> None:
    torch.manual_seed(0)
    rows = torch.randn(40, 3)
    plain = nn.Sequential(quantized_identity(6), quantized_mlp((3, 2), weight_bits=4, activation_bits=4), nn.Identity())
    assert mismatches(calibrated(plain, rows))[0] == 0

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.quantize = quantized_identity(6)
            self.output = qnn.QuantLinear(3, 2, bias=False, weight_quant=preset("W4"))

        def forward(self, x: Tensor) -> Tensor:
            return self.output(self.quantize(x))

    assert mismatches(calibrated(Named(), rows))[0] == 0


def make_learned() -> Any:
    torch.manual_seed(2)
    model = nn.Sequential(
        qnn.QuantIdentity(act_quant=preset("A6SL")),
        qnn.QuantLinear(3, 5, bias=True, weight_quant=preset("W4CL"), bias_quant=preset("B6L")),
        qnn.QuantReLU(act_quant=preset("A5HL")),
        qnn.QuantLinear(5, 2, bias=False, weight_quant=preset("W3L")),
    )
    return calibrated(model, torch.randn(60, 3))


@pytest.mark.parametrize("move", [-1.3, 0.4, 2.6])
def test_learned_bit_widths_round_to_whole_bits(move: float) -> None:
    model = make_learned()
    before = trace(model, name="network")
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bit_width_offset"):
                value.add_(move)
    graph = trace(model, name="network")
    assert graph.inputs[0].tensor.format.width == max(2, 6 + round(move))
    assert (graph.digest == before.digest) is (round(move) == 0)
    assert mismatches(model)[0] == 0


def test_learned_bit_widths_get_gradients() -> None:
    model = make_learned().train()
    model(torch.randn(60, 3)).square().sum().backward()
    widths = [value for name, value in model.named_parameters() if name.endswith("bit_width_offset")]
    assert len(widths) == 5
    assert all(value.grad is not None and float(value.grad) != 0 for value in widths)


def pruned(remove: bool) -> Any:
    torch.manual_seed(4)
    model = nn.Sequential(quantized_identity(6), quantized_mlp((4, 6, 2), weight_bits=5, activation_bits=5))
    layer: Any = model[1].dense0  # type: ignore[union-attr] - a Sequential
    prune.l1_unstructured(layer, "weight", amount=0.6)
    calibrated(model, torch.randn(60, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(torch.randn(60, 4)).square().sum().backward()
    optimizer.step()  # from here to the next pass, `weight` is stale
    if remove:
        prune.remove(layer, "weight")
    return model


def test_pruned_weights_are_zero_and_up_to_date() -> None:
    model = pruned(remove=False)
    layer = model[1].dense0
    node = trace(model, name="network")["layer_1_dense0"]
    assert isinstance(node, Dense)
    assert np.count_nonzero(node.weight == 0) >= round(0.6 * 24)
    with torch.no_grad():
        expected = layer(torch.eye(4)) - layer(torch.zeros(1, 4))
    assert np.array_equal(node.weight_format.to_float(node.weight), expected.T.double().numpy())
    assert mismatches(model)[0] == 0


def test_pruning_that_was_removed() -> None:
    assert mismatches(pruned(remove=True))[0] == 0


def test_float64_models_give_the_same_graph() -> None:
    model = random_model(5, kind="sage")
    single = trace(model.model, name="network", maxima=model.maxima)
    double = trace(model.model.double(), name="network", maxima=model.maxima)
    assert single.digest == double.digest
    assert mismatches(model.model, model.maxima, {"N": model.maxima.nodes, "E": model.maxima.edges})[0] == 0


def test_shapes_given_to_trace_reach_the_reference() -> None:
    torch.manual_seed(0)
    model = calibrated(Keywords(), torch.randn(6, 2), torch.randint(0, 6, (9, 2)))
    shapes = model.input_shapes
    del model.input_shapes
    graph = trace(model, name="network", maxima=MAXIMA, shapes=shapes)
    assert BrevitasReference(model, graph).graph is graph


class Quantized(nn.Module):
    """As Brevitas' own examples are written: quantized tensors everywhere, their values by name."""

    def __init__(self, *, before: nn.Module) -> None:
        super().__init__()
        self.before = before
        self.quantize = qnn.QuantIdentity(act_quant=preset("A7S"), return_quant_tensor=True)
        self.layer = qnn.QuantLinear(
            3, 3, bias=True, weight_quant=preset("W4C"), bias_quant=preset("B6"), return_quant_tensor=True
        )
        self.relu = qnn.QuantReLU(act_quant=preset("A5"), return_quant_tensor=True)
        self.output_names = "y"

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layer(self.quantize(self.before(x)))
        return self.relu(hidden).value + self.relu(self.layer(self.quantize(x))).value


@pytest.mark.parametrize("before", [nn.Dropout(0.5), nn.Identity()])
def test_quantized_tensors_and_an_input_quantized_twice_by_one_module(before: nn.Module) -> None:
    torch.manual_seed(0)
    model = calibrated(Quantized(before=before), torch.randn(50, 3))
    graph = trace(model, name="network")
    assert [node.name for node in graph.inputs] == ["x"] and [node.name for node in graph.outputs] == ["y"]
    wrong, compared = mismatches(model)
    assert wrong == 0 and compared > 100
    (inputs,) = (random_inputs(graph, seed=1, sizes=SIZES),)
    with torch.no_grad():
        expected = model(torch.from_numpy(np.asarray(inputs["x"], dtype=np.float32)))
    assert np.array_equal(make_executor("golden", graph).run(inputs)["y"], expected.numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_models_in_half_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = calibrated(Quantized(before=nn.Identity()), torch.randn(50, 3)).to(dtype)
    wrong, compared = mismatches(model)
    assert wrong == 0 and compared > 100
