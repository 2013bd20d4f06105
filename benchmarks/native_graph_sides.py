"""Sides of the benchmark for interaction networks: torch in several forms of gather and aggregate, and ONNX Runtime."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal

import torch
from native_networks import Inputs
from native_onnx import binder, graph_model, make_session, runner
from native_sides import Side, compile_module, torch_caller
from torch import Tensor, nn

from hitfabric.core import GraphError
from hitfabric.models.float_networks import load_float_network
from hitfabric.quantization.modules import EdgeAggregate, EdgeGather

Form = Literal["scatter_add", "index_add", "index_put"]


class PlainGather(nn.Module):
    """Features of both ends; every index is a node, as in graphs without padding."""

    def forward(self, nodes: Tensor, edge_index: Tensor) -> Tensor:
        """[N, F] and [E, 2] to [E, 2F]."""
        return torch.cat([nodes.index_select(0, edge_index[:, 0]), nodes.index_select(0, edge_index[:, 1])], dim=-1)


class PlainAggregate(nn.Module):
    """Sum at one end of the edges; `scatter_add` is what torch_scatter's `scatter_sum` calls.

    Args:
        column: End of the edge.
        form: Operation that adds; `index_put` is what exports to ScatterND.

    """

    def __init__(self, column: Literal[0, 1], form: Form) -> None:
        super().__init__()
        self.column, self.form = column, form

    def forward(self, edges: Tensor, edge_index: Tensor, nodes: Tensor) -> Tensor:
        """[E, F] to [N, F]."""
        sums, rows = edges.new_zeros((nodes.shape[0], edges.shape[1])), edge_index[:, self.column]
        match self.form:
            case "scatter_add":
                return sums.scatter_add(0, rows.unsqueeze(-1).expand_as(edges), edges)
            case "index_add":
                return sums.index_add(0, rows, edges)
        return sums.index_put((rows,), edges, accumulate=True)


def plain(network: nn.Module, form: Form) -> nn.Module:
    """A copy of a float network with gather and aggregate replaced by the plain ones."""
    result = copy.deepcopy(network).eval().requires_grad_(False)
    for path, module in list(result.named_modules()):
        if isinstance(module, EdgeGather):
            result.set_submodule(path, PlainGather())
        elif isinstance(module, EdgeAggregate):
            result.set_submodule(path, _plain_aggregate(module, form))
    return result


def _plain_aggregate(module: EdgeAggregate, form: Form) -> PlainAggregate:
    if module.mode != "sum":
        raise GraphError(f"the network aggregates by {module.mode}", remedy="take one that sums")
    return PlainAggregate(module.column, form)


def torch_graph_sides(twin: Path, *, threads: int, compiled: bool) -> list[Side]:
    """Torch float32: the float twin as shipped, and with plain gather and aggregate."""
    torch.set_num_threads(threads)
    network = load_float_network(twin).requires_grad_(False)
    order = tuple(network.input_shapes)
    sides = [Side(family="torch_float32", variant="eager, as shipped", prepare=torch_caller(network, order))]
    forms: tuple[Form, ...] = ("scatter_add", "index_add")
    for form in forms:
        prepare = torch_caller(plain(network, form), order)
        sides.append(Side(family="torch_float32", variant=f"eager, {form}", prepare=prepare))
    if compiled:
        prepare = torch_caller(compile_module(plain(network, "scatter_add")), order)
        sides.append(Side(family="torch_float32", variant="compiled, scatter_add", prepare=prepare))
    return sides


def onnx_graph_sides(twin: Path, inputs: Inputs, *, threads: int) -> list[Side]:
    """ONNX Runtime float32: sums by ScatterElements and by ScatterND.

    Args:
        twin: Directory of the float network.
        inputs: Any graph, for the export.
        threads: Threads of each session.

    """
    network = load_float_network(twin)
    forms: list[tuple[Form, str]] = [("scatter_add", "ScatterElements")]
    # With more threads ONNX Runtime 1.32 loses a term now and then: 2 of 300 runs on 150,000 edges were wrong by 1.5 %.
    if threads == 1:
        forms.append(("index_put", "ScatterND"))
    sides = []
    for form, operator in forms:
        session = make_session(graph_model(plain(network, form), inputs), threads=threads)
        sides.append(Side(family="onnxruntime_float32", variant=f"{operator}, run", prepare=runner(session)))
        bound = binder(session, 1)
        sides.append(Side(family="onnxruntime_float32", variant=f"{operator}, io binding", prepare=bound))
    return sides
