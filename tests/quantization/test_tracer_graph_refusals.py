"""Graph networks that break the contract are refused: features, edge indices, shapes and outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hitfabric.quantization import Maxima
from hitfabric.quantization.linter import lint
from hitfabric.quantization.modules import EdgeAggregate, EdgeGather
from hitfabric.quantization.presets import quantized_identity, quantized_mlp
from support.refused_models import refusal, settled

torch.set_num_threads(1)


class Graph(nn.Module):
    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run = run
        self.input_shapes = {"nodes": ("N", 2), "edge_index": ("E", 2)}
        self.quantize, self.again, self.gather = quantized_identity(6), quantized_identity(4), EdgeGather()
        self.message = quantized_mlp((4, 2), weight_bits=4, activation_bits=4, last_activation=True)
        self.total = EdgeAggregate()

    def forward(self, nodes: Tensor, edge_index: Tensor) -> Any:
        return self.run(self, nodes, edge_index)


def healthy(net: Any, nodes: Any, index: Any) -> Any:
    x = net.quantize(nodes)
    return net.total(net.message(net.gather(x, index)), index, nodes) + net.again(x)


GRAPHS: list[tuple[Callable[..., Any], str]] = [
    (lambda n, x, i: n.quantize(x) + n.again(x), "input nodes is quantized by again, quantize"),
    (lambda n, x, i: n.gather(x, i), "input nodes is not quantized"),
    (lambda n, x, i: n.message(n.gather(n.quantize(x), n.quantize(x))), "input edge_index has no values that"),
    (lambda n, x, i: n.total(n.message(n.gather(n.quantize(x), i)), i, i), "module total is given edge_index"),
    (lambda n, x, i: n.quantize(x) + i, "input edge_index is not quantized"),
    (lambda n, x, i: (n.quantize(x), i), "input edge_index is not quantized"),
    (lambda n, x, i: (n.quantize(x), n.gather(n.quantize(x), i)), "the model returns 2 tensors"),
    (lambda n, x, i: {"y": (n.gather(n.quantize(x), i),)}, "output y is tuple, not a tensor"),
    (lambda n, x, i: x, "input nodes is not quantized"),
    (lambda n, x, i: n.gather(n.quantize(x), i.long()), "input edge_index is changed before"),
    (lambda n, x, i: n.gather(n.quantize(x), torch.flip(i.t().t(), [-1])), "input edge_index is changed before"),
]


@pytest.mark.parametrize("case", range(len(GRAPHS)))
def test_graph_networks(case: int) -> None:
    torch.manual_seed(0)
    run, rule = GRAPHS[case]
    model: Any = settled(Graph(healthy), torch.randn(6, 2), torch.randint(0, 6, (9, 2)))
    assert lint(model).passed
    model.run = run
    assert refusal(model, maxima=Maxima(nodes=6, edges=9)).message.startswith(rule)


def test_shapes_that_do_not_fit_forward() -> None:
    model: Any = settled(Graph(healthy), torch.randn(6, 2), torch.randint(0, 6, (9, 2)))
    model.input_shapes = {"nodes": ("N", 2), "edge_index": ("E", 2), "weights": ("E", 1)}
    assert refusal(model).message.startswith("input_shapes names weights")
    model.input_shapes = {"nodes": ("N", 2)}
    assert refusal(model).message.startswith("input edge_index has no shape")
    model.input_shapes = {"nodes": ("N", 2), "edge_index": ("E", 2)}
    model.input_shapes = {"nodes": 2, "edge_index": 2}
    assert refusal(model).message.startswith("the shapes of the inputs are {'nodes': 2")
    model.input_shapes = {"nodes": ("N", 2), "edge_index": ("E", 2)}
    model.output_names = ("one", "two")
    assert refusal(model).message.startswith("the model returns 1 tensors, output_names names 2")
