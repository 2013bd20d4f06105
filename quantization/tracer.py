"""From a trained Brevitas model to the typed graph, by torch.fx."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import brevitas.nn as qnn
import torch
import torch.fx
from torch import nn
from torch._dynamo.eval_frame import OptimizedModule

from ..core import ContractError, HitfabricError
from .builder import GraphBuilder, Maxima
from .contract import LEAVES, QUANTIZED, Violation, check_no_hooks
from .fx_nodes import describe, place
from .graph import TypedGraph
from .in_place import Proxy, unsafe_in_place
from .nodes import Dimension
from .walk import Walk

Shapes = Mapping[str, Sequence[Dimension]]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A traced model.

    Attributes:
        graph: The typed graph.
        module: The fx module it was read from.
        origins: fx node name by name of the typed graph's node.
        paths: Module path by name of the typed graph's node.

    """

    graph: TypedGraph
    module: torch.fx.GraphModule
    origins: Mapping[str, str]
    paths: Mapping[str, str]


def trace(
    model: nn.Module,
    *,
    name: str,
    maxima: Maxima | None = None,
    shapes: Shapes | None = None,
) -> TypedGraph:
    """Extract the typed graph of a trained Brevitas model.

    Operations whose result reaches no output leave no node.

    Args:
        model: Model under the QAT contract; it is put into evaluation mode.
        name: Name of the network.
        maxima: Static maxima of a graph network.
        shapes: Shape of each input, e.g. `{"nodes": ("N", 3), "edge_index": ("E", 2)}`; by default the model's
            attribute `input_shapes`, or rows of the first layer's width for a model of one input.

    Returns:
        The graph; names of inputs are those of `forward`, outputs are named by the attribute `output_names` or the
        keys of the dictionary returned (default `output`).

    Raises:
        ContractError: The model breaks the contract; module and rule are named.

    """
    return trace_model(model, name=name, maxima=maxima, shapes=shapes).graph


def trace_model(
    model: nn.Module,
    *,
    name: str,
    maxima: Maxima | None = None,
    shapes: Shapes | None = None,
) -> Trace:
    """As `trace`, keeping where each node came from."""
    module, walk = walk_model(model, maxima=maxima, shapes=shapes)
    if walk.violations:
        first, others = walk.violations[0], len(walk.violations) - 1
        more = f" ({others} more: see hitfabric.quantization.linter.lint)" if others else ""
        raise ContractError(first.rule + more, remedy=first.remedy)
    return Trace(
        graph=TypedGraph.from_builder(walk.builder, name=name),
        module=module,
        origins=walk.origins,
        paths=walk.paths,
    )


def walk_model(
    model: nn.Module, *, maxima: Maxima | None = None, shapes: Shapes | None = None
) -> tuple[torch.fx.GraphModule, Walk]:
    """Trace and walk a model, collecting every violation instead of stopping at the first.

    Raises:
        ContractError: It is a float model, cannot be traced, or the shapes of its inputs are unknown.

    """
    _check_bare(model)
    check_quantized(model)
    check_no_hooks(type(model).__name__, model)
    module = torch.fx.GraphModule(model, fx_trace(model))
    in_place = [  # before the elimination, which takes what is changed in place and not read for dead
        Violation(module=place(node), rule=f"{describe(node)} {rule}", remedy=remedy)
        for node, rule, remedy in unsafe_in_place(module.graph, model)
    ]
    module.graph.eliminate_dead_code()
    module.recompile()
    given = shapes or getattr(model, "input_shapes", None) or _default_shapes(model, module.graph)
    walk = Walk(
        model=model,
        builder=GraphBuilder(maxima=maxima),
        shapes=_checked_shapes(given),
        output_names=_output_names(model, module.graph),
        violations=in_place,
    )
    taken = {node.target for node in module.graph.nodes if _is_input(node)}
    unknown = [key for key in walk.shapes if key not in taken]
    if unknown:
        rule = f"input_shapes names {', '.join(unknown)}, which forward does not take"
        walk.violations.append(Violation(module="forward", rule=rule, remedy="name the arguments of forward"))
    for node in module.graph.nodes:
        walk.visit(node)
    return module, walk


def fx_trace(model: nn.Module) -> torch.fx.Graph:
    """The fx graph of a model put into evaluation mode, with layers and graph modules as leaves.

    Raises:
        ContractError: It cannot be traced.

    """
    model.eval()
    try:
        return _Tracer().trace(model)
    except HitfabricError:
        raise
    except Exception as error:  # forward is the user's code, and may raise anything on symbolic values
        raise ContractError(
            f"{type(model).__name__} cannot be traced: {type(error).__name__}: {error}",
            remedy="write forward without data-dependent control flow",
        ) from error


def check_quantized(model: nn.Module) -> None:
    """Refuse a plain float model in one sentence.

    Raises:
        ContractError: No module of the model is quantized.

    """
    modules = list(model.modules())
    if any(isinstance(module, QUANTIZED) for module in modules):
        return
    layers = sum(not list(module.children()) for module in modules)
    raise ContractError(
        f"{type(model).__name__} is a float model: none of its {layers} layers is quantized",
        remedy="build it from the presets in hitfabric.quantization.presets (quantized_mlp, preset('W8')) and train it"
        " quantization-aware, starting from the float weights",
    )


def _check_bare(model: nn.Module) -> None:
    """Wrappers hide the model, and TorchScript what its layers are."""
    inside = {"module": nn.parallel.DataParallel | nn.parallel.DistributedDataParallel, "_orig_mod": OptimizedModule}
    for attribute, kind in inside.items():
        if isinstance(model, kind):
            raise ContractError(
                f"{type(model).__name__} is a wrapper", remedy=f"give the model inside: its attribute {attribute}"
            )
    if isinstance(model, torch.jit.ScriptModule):
        raise ContractError(f"{type(model).__name__} is TorchScript", remedy="give the model it was made from")


class _Tracer(torch.fx.Tracer):
    def proxy(self, node: torch.fx.Node) -> torch.fx.Proxy:
        return Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, LEAVES):
            return True
        library = m.__module__.startswith(("torch.nn", "brevitas.nn"))
        return library and not isinstance(m, nn.Sequential | nn.ModuleList | nn.ModuleDict)


def _output_names(model: nn.Module, fx_graph: torch.fx.Graph) -> tuple[str, ...]:
    returned = next(node.args[0] for node in fx_graph.nodes if node.op == "output")
    keys = tuple(map(str, returned)) if isinstance(returned, Mapping) else ("output",)
    names = getattr(model, "output_names", keys)
    return (names,) if isinstance(names, str) else tuple(names)


def _checked_shapes(given: Any) -> dict[str, tuple[Dimension, ...]]:  # noqa: ANN401 - an attribute of the user's class
    if isinstance(given, Mapping) and all(isinstance(shape, list | tuple) for shape in given.values()):
        return {key: tuple(shape) for key, shape in given.items()}
    raise ContractError(
        f"the shapes of the inputs are {given!r}", remedy='give {"x": ("R", F)}: a shape for each argument of forward'
    )


def _is_input(node: torch.fx.Node) -> bool:
    return node.op == "placeholder"


def _default_shapes(model: nn.Module, fx_graph: torch.fx.Graph) -> dict[str, tuple[Dimension, ...]]:
    inputs = [str(node.target) for node in fx_graph.nodes if _is_input(node) and (node.users or not node.args)]
    first = next((module for module in model.modules() if isinstance(module, qnn.QuantLinear)), None)
    if len(inputs) != 1 or first is None:
        raise ContractError(
            f"{type(model).__name__} has inputs {inputs} of unknown shape", remedy="give the attribute input_shapes"
        )
    return {inputs[0]: ("R", first.in_features)}
