"""Operations in place, whose effect on other names of a tensor torch.fx does not see."""

from __future__ import annotations

import operator
from collections.abc import Iterator

import torch.fx
from torch import nn

from .contract import PASS_THROUGH
from .refusals import IDENTITY_METHODS


class Proxy(torch.fx.Proxy):
    """Records `x += y` as such; fx's own proxy takes it for `x = x + y`."""

    def __iadd__(self, other: object) -> torch.fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


def unsafe_in_place(graph: torch.fx.Graph, model: nn.Module) -> Iterator[tuple[torch.fx.Node, str, str]]:
    """Nodes that change a tensor in place, with rule and remedy.

    `x += y` is x + y only where no other name of x is read afterwards; methods such as `x.add_(y)` are never taken.
    """
    order = {node: number for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        name = str(node.target)
        if node.op == "call_method" and name.endswith("_") and not name.endswith("__"):
            yield node, "changes a tensor in place", "assign the result of the operation without _, or of +"
        elif node.target is operator.iadd and isinstance(node.args[0], torch.fx.Node):
            readers = (user for alias in _aliases(node.args[0], model) for user in alias.users)
            if any(order[reader] > order[node] for reader in readers):
                yield node, "changes a tensor that is read again", "write x = x + y"


def _aliases(node: torch.fx.Node, model: nn.Module) -> set[torch.fx.Node]:
    """Every node that gives the very tensor of `node`."""
    root = node
    while _is_alias(root, model) and isinstance(root.args[0], torch.fx.Node):
        root = root.args[0]
    found, pending = {root}, [root]
    while pending:
        for user in pending.pop().users:
            if user not in found and _is_alias(user, model):
                found.add(user)
                pending.append(user)
    return found


def _is_alias(node: torch.fx.Node, model: nn.Module) -> bool:
    if node.op == "call_module":
        return isinstance(model.get_submodule(str(node.target)), PASS_THROUGH)
    return node.target is nn.functional.dropout or (node.op == "call_method" and node.target in IDENTITY_METHODS)
