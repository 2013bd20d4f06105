"""Operations in place, whose effect on other names of a tensor torch.fx does not see."""

from __future__ import annotations

import operator
from collections.abc import Iterator

import torch.fx
from torch import nn

from .contract import PASS_THROUGH
from .fx_nodes import called_module, is_renaming


class Proxy(torch.fx.Proxy):
    """Records `x += y` as such; fx's own proxy takes it for `x = x + y`."""

    def __iadd__(self, other: object) -> torch.fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


def unsafe_in_place(graph: torch.fx.Graph, model: nn.Module) -> Iterator[tuple[torch.fx.Node, str, str]]:
    """Nodes that change a tensor in place, with rule and remedy.

    `x += y` is x + y only where no other name of x is read afterwards; `x.add_(y)`, `relu(x, inplace=True)`,
    `torch.add(x, y, out=z)` and the like are never taken.
    """
    order = {node: number for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if _is_in_place(node, model):
            yield node, "changes a tensor in place", "assign the result of the operation without _, inplace or out"
        elif node.target is operator.iadd and isinstance(node.args[0], torch.fx.Node):
            readers = (user for alias in _aliases(node.args[0], model) for user in alias.users)
            if any(order[reader] > order[node] for reader in readers):
                yield node, "changes a tensor that is read again", "write x = x + y"


def _is_in_place(node: torch.fx.Node, model: nn.Module) -> bool:
    module = called_module(model, node)
    if module is not None:
        dead = not node.users  # nothing else would refuse it
        return dead and bool(getattr(module, "inplace", False)) and not isinstance(module, PASS_THROUGH)
    if node.target is nn.functional.dropout:
        return False  # does nothing, or is refused
    name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "")
    written = (node.kwargs.get("inplace") and not node.users) or node.kwargs.get("out") is not None
    called = node.op in ("call_method", "call_function")
    return called and bool(written or (name.endswith("_") and not name.endswith("__")))


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
    module = called_module(model, node)
    if module is not None:
        return isinstance(module, PASS_THROUGH)
    return node.target is nn.functional.dropout or is_renaming(node)
