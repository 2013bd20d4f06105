"""From a trained Brevitas model to the typed graph, by torch.fx."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import brevitas.nn as qnn
import torch
import torch.fx
from torch import nn
from torch.fx.proxy import TraceError

from ..core import ContractError
from .builder import GraphBuilder, Maxima
from .contract import PASS_THROUGH, activation_format, bias_of, check_module, weight_of
from .graph import TypedGraph
from .modules import EdgeAggregate, EdgeGather
from .nodes import Dimension

SUPPORTED = "use QuantLinear, QuantReLU, QuantIdentity, EdgeGather, EdgeAggregate, torch.cat(dim=-1) and +"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A traced model.

    Attributes:
        graph: The typed graph.
        module: The fx module it was read from.
        origins: fx node name by name of the typed graph's node.

    """

    graph: TypedGraph
    module: torch.fx.GraphModule
    origins: Mapping[str, str]


def trace(
    model: nn.Module,
    *,
    name: str,
    maxima: Maxima | None = None,
    shapes: Mapping[str, Sequence[Dimension]] | None = None,
) -> TypedGraph:
    """Extract the typed graph of a trained Brevitas model.

    Args:
        model: Model under the QAT contract; it is put into evaluation mode.
        name: Name of the network.
        maxima: Static maxima of a graph network.
        shapes: Shape of each input, e.g. `{"nodes": ("N", 3), "edge_index": ("E", 2)}`; by default the model's
            attribute `input_shapes`, or rows of the first layer's width for a model of one input.

    Returns:
        The graph; names of inputs are those of `forward`, outputs are named by the attribute `output_names`
        (default `output`).

    Raises:
        ContractError: The model breaks the contract; module and rule are named.

    """
    return trace_model(model, name=name, maxima=maxima, shapes=shapes).graph


def trace_model(
    model: nn.Module,
    *,
    name: str,
    maxima: Maxima | None = None,
    shapes: Mapping[str, Sequence[Dimension]] | None = None,
) -> Trace:
    """As `trace`, keeping where each node came from."""
    model.eval()
    for module_name, module in model.named_children():
        if isinstance(module, nn.Linear) and not isinstance(module, qnn.QuantLinear):
            check_module(module_name, module)
    tracer = _Tracer()
    try:
        fx_graph = tracer.trace(model)
    except (TraceError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ContractError(
            f"{type(model).__name__} cannot be traced: {reason}",
            remedy="write forward without data-dependent control flow",
        ) from error
    given = shapes or getattr(model, "input_shapes", None) or _default_shapes(model, fx_graph)
    walk = _Walk(
        model=model,
        builder=GraphBuilder(maxima=maxima),
        shapes={key: tuple(value) for key, value in given.items()},
        output_names=tuple(getattr(model, "output_names", ("output",))),
    )
    for node in fx_graph.nodes:
        walk.visit(node)
    return Trace(
        graph=TypedGraph.from_builder(walk.builder, name=name),
        module=torch.fx.GraphModule(model, fx_graph),
        origins=walk.origins,
    )


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, EdgeGather | EdgeAggregate):
            return True
        return m.__module__.startswith(("torch.nn", "brevitas.nn")) and not isinstance(m, nn.Sequential)


def _default_shapes(model: nn.Module, fx_graph: torch.fx.Graph) -> dict[str, tuple[Dimension, ...]]:
    inputs = [node.target for node in fx_graph.nodes if node.op == "placeholder"]
    first = next((module for module in model.modules() if isinstance(module, qnn.QuantLinear)), None)
    if len(inputs) != 1 or first is None:
        raise ContractError(
            f"{type(model).__name__} has inputs {inputs} of unknown shape", remedy="give the attribute input_shapes"
        )
    return {str(inputs[0]): ("R", first.in_features)}


@dataclass(kw_only=True)
class _Walk:
    model: nn.Module
    builder: GraphBuilder
    shapes: Mapping[str, tuple[Dimension, ...]]
    output_names: tuple[str, ...]
    names: dict[torch.fx.Node, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def visit(self, node: torch.fx.Node) -> None:
        match node.op:
            case "placeholder":
                self._placeholder(node)
            case "call_module":
                self._module(node, str(node.target), self.model.get_submodule(str(node.target)))
            case "call_function":
                self._function(node)
            case "output":
                self._output(node)
            case _:
                raise ContractError(
                    f"{node.op} {node.target} (node {node.name}) has no firmware node", remedy=SUPPORTED
                )

    def _record(self, node: torch.fx.Node, name: str) -> None:
        self.names[node] = name
        self.origins[name] = node.name

    def _source(self, node: torch.fx.Node, position: int = 0) -> str:
        argument = node.args[position] if len(node.args) > position else None
        if not isinstance(argument, torch.fx.Node) or argument not in self.names:
            unquantized = isinstance(argument, torch.fx.Node) and argument.op == "placeholder"
            raise ContractError(
                f"module {node.target} (node {node.name}) reads {argument}"
                + (", an input that is not quantized" if unquantized else ""),
                remedy="put a QuantIdentity at every input and pass tensors by position",
            )
        return self.names[argument]

    def _placeholder(self, node: torch.fx.Node) -> None:
        name = str(node.target)
        if name not in self.shapes:
            raise ContractError(f"input {name} has no shape", remedy="name it in input_shapes")
        users = [
            self.model.get_submodule(str(user.target)) if user.op == "call_module" else None for user in node.users
        ]
        if users and all(isinstance(user, EdgeGather | EdgeAggregate) for user in users):
            self._record(node, self.builder.edge_index(name))
            return
        if len(users) != 1 or not isinstance(users[0], qnn.QuantIdentity):
            raise ContractError(
                f"input {name} is not quantized by one QuantIdentity", remedy="put one QuantIdentity at the input"
            )
        quantizer = next(iter(node.users))
        form = activation_format(str(quantizer.target), users[0])
        self._record(quantizer, self.builder.input(name, shape=self.shapes[name], format=form))

    def _module(self, node: torch.fx.Node, path: str, module: nn.Module) -> None:
        check_module(path, module)
        if isinstance(module, PASS_THROUGH):
            self.names[node] = self._source(node)
        elif isinstance(module, qnn.QuantReLU | qnn.QuantIdentity):
            self._activation(node, path, module)
        elif isinstance(module, qnn.QuantLinear):
            weight, bias = weight_of(path, module), bias_of(path, module)
            added = self.builder.dense(
                node.name,
                self._source(node),
                weight=weight.integers,
                weight_format=weight.format,
                bias=None if bias is None else bias.integers,
                bias_format=None if bias is None else bias.format,
            )
            self._record(node, added)
        elif isinstance(module, EdgeGather):
            self._record(node, self.builder.edge_gather(node.name, self._source(node), self._source(node, 1)))
        elif isinstance(module, EdgeAggregate):
            added = self.builder.edge_aggregate(
                node.name, self._source(node), self._source(node, 1), column=module.column, mode=module.mode
            )
            self._record(node, added)

    def _activation(self, node: torch.fx.Node, path: str, module: qnn.QuantReLU | qnn.QuantIdentity) -> None:
        if node not in self.names:  # a quantizer of an input was taken with its placeholder
            form = activation_format(path, module)
            self._record(node, self.builder.requantize(node.name, self._source(node), format=form))

    def _function(self, node: torch.fx.Node) -> None:
        additions: tuple[Callable[..., object], ...] = (operator.add, torch.add)
        if node.target is torch.cat:
            dimension = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
            if dimension != -1:
                raise ContractError(f"torch.cat (node {node.name}) along {dimension}", remedy="concatenate with dim=-1")
            parts = node.args[0] if node.args else node.kwargs["tensors"]
            assert isinstance(parts, list | tuple)
            sources = [self.names.get(part) for part in parts if isinstance(part, torch.fx.Node)]
            if None in sources or len(sources) != len(parts):
                raise ContractError(
                    f"torch.cat (node {node.name}) reads a tensor that is not quantized",
                    remedy="put a QuantIdentity at every input",
                )
            self._record(node, self.builder.concat(node.name, [source for source in sources if source is not None]))
        elif node.target in additions and len(node.args) == 2 and not node.kwargs:
            self._record(node, self.builder.add(node.name, self._source(node), self._source(node, 1)))
        else:
            function = getattr(node.target, "__name__", node.target)
            raise ContractError(f"{function} (node {node.name}) has no firmware node", remedy=SUPPORTED)

    def _output(self, node: torch.fx.Node) -> None:
        results = node.args[0] if isinstance(node.args[0], list | tuple) else [node.args[0]]
        if len(results) != len(self.output_names):
            raise ContractError(
                f"the model returns {len(results)} tensors, output_names names {len(self.output_names)}",
                remedy="name each output in the attribute output_names",
            )
        for name, result in zip(self.output_names, results, strict=True):
            if not isinstance(result, torch.fx.Node) or result not in self.names:
                raise ContractError(f"output {name} is not a quantized tensor", remedy=SUPPORTED)
            self.builder.output(name, self.names[result])
            self.origins[name] = result.name
