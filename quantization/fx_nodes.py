"""Nodes of torch.fx: arguments by name, results, and how messages name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch.fx
from torch import nn

from .modules import EdgeAggregate, EdgeGather
from .refusals import IDENTITY_METHODS

PARAMETERS: tuple[tuple[tuple[type[nn.Module], ...], tuple[str, ...]], ...] = (
    ((EdgeGather,), ("nodes", "edge_index")),
    ((EdgeAggregate,), ("edges", "edge_index", "nodes")),
)


def call_arguments(node: torch.fx.Node, module: nn.Module) -> dict[str, Any]:
    """Arguments of a call by parameter name, positional ones first."""
    parameters = next((names for kinds, names in PARAMETERS if isinstance(module, kinds)), ("input",))
    return {**dict(zip(parameters, node.args, strict=False)), **node.kwargs}


def called_module(model: nn.Module, node: torch.fx.Node) -> nn.Module | None:
    """The module that an fx node of a model calls; None for any other operation."""
    return model.get_submodule(str(node.target)) if node.op == "call_module" else None


def uses_of(model: nn.Module, user: torch.fx.Node, node: torch.fx.Node) -> list[str]:
    """What `user` takes `node` for: `edge_index`, `rows` (its number of rows only) or `values`."""
    module = called_module(model, user)
    if not isinstance(module, EdgeGather | EdgeAggregate):
        return ["values"]
    roles = {"edge_index": "edge_index", "nodes": "rows" if isinstance(module, EdgeAggregate) else "values"}
    return [roles.get(name, "values") for name, given in call_arguments(user, module).items() if given is node]


def becomes_index(model: nn.Module, node: torch.fx.Node) -> bool:
    """Whether an operation, such as a transposition, gives the edge index of a layer."""
    if node.op not in ("call_function", "call_method"):
        return False
    return any("edge_index" in uses_of(model, user, node) or becomes_index(model, user) for user in node.users)


def argument(node: torch.fx.Node, position: int, *names: str, default: Any = None) -> Any:  # noqa: ANN401 - as fx
    """An argument by position, or by one of the names that PyTorch gives it."""
    if len(node.args) > position:
        return node.args[position]
    return next((node.kwargs[name] for name in names if name in node.kwargs), default)


def is_renaming(node: torch.fx.Node) -> bool:
    """Whether an operation only gives the values of its first argument: `x.clone()`, `x.value` of a QuantTensor."""
    if node.op == "call_method":
        return node.target in IDENTITY_METHODS
    return node.target is getattr and node.args[1] == "value"


def results(returned: Any) -> Sequence[Any]:  # noqa: ANN401 - a model returns anything
    """What a model returns, in order."""
    if isinstance(returned, Mapping):
        return list(returned.values())
    return returned if isinstance(returned, list | tuple) else [returned]


def numbered(base: str) -> Iterator[str]:
    """`base`, `base_1`, `base_2`, ..."""
    yield base
    number = 1
    while True:
        yield f"{base}_{number}"
        number += 1


def describe(node: torch.fx.Node) -> str:
    """The module or operation of an fx node, for messages."""
    if node.op == "call_module":
        return f"module {node.target}"
    target = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.target)
    module = _scope(node)
    return f"{target} (node {node.name}{' in ' + module if module else ''})"


def place(node: torch.fx.Node) -> str:
    """Path of the module of an fx node, or of the one whose forward holds the operation."""
    if node.op in ("call_module", "placeholder"):
        return str(node.target)
    return _scope(node) or "forward"


def _scope(node: torch.fx.Node) -> str:
    """Path of the innermost module whose forward holds the operation."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""
