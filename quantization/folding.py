"""Batch normalisation folded into the linear layers before it: done on the float model, before quantization."""

from __future__ import annotations

import copy

import torch
import torch.fx
from torch import nn
from torch.nn.utils import prune

from ..core import ContractError
from .contract import PASS_THROUGH
from .fx_nodes import called_module
from .tracer import fx_trace


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Fold every BatchNorm1d into the linear layer whose output it normalises.

    In evaluation mode y = gamma (W x + b - mean) / sqrt(var + eps) + beta is W' x + b' with
    W' = gamma W / sqrt(var + eps) and b' = gamma (b - mean) / sqrt(var + eps) + beta. The result is computed in float64
    and rounded once to the dtype of the layer.

    Args:
        model: A float model (or one of QuantLinear) that torch.fx can trace; it is left as it is.

    Returns:
        A copy in evaluation mode: each BatchNorm1d is an Identity, so that all other names stay and the state is a warm
        start of a quantized network with the same names. A layer without bias gets one.

    Raises:
        ContractError: A BatchNorm1d does not follow a linear layer of its own, or keeps no running statistics; or the
            mask of a pruned layer is still on.

    """
    masked = [name for name, module in model.named_modules() if prune.is_pruned(module) and not list(module.children())]
    if masked:
        raise ContractError(f"module {masked[0]} has its pruning mask on", remedy="call prune.remove first")
    folded = copy.deepcopy(model).eval()
    graph = fx_trace(folded)
    pairs: dict[str, str] = {}
    for node in graph.nodes:
        if isinstance(called_module(folded, node), nn.BatchNorm1d):
            norm, linear = str(node.target), _layer_before(folded, node)
            if pairs.setdefault(norm, linear) != linear:
                raise ContractError(
                    f"module {norm} follows several layers", remedy="give each layer a BatchNorm1d of its own"
                )
    for node in graph.nodes:
        if node.op == "call_module" and node.target in pairs.values():
            _check_readers(folded, node, pairs)
    for norm, linear in pairs.items():
        _fold(folded, norm, linear)
    return folded


def _layer_before(model: nn.Module, node: torch.fx.Node) -> str:
    source = node.args[0] if node.args else node.kwargs.get("input")
    while isinstance(source, torch.fx.Node) and isinstance(called_module(model, source), PASS_THROUGH):
        source = source.args[0]
    if not isinstance(source, torch.fx.Node) or not isinstance(called_module(model, source), nn.Linear):
        raise ContractError(
            f"module {node.target} is a BatchNorm1d that follows no linear layer",
            remedy="put it directly after the linear layer, before the activation",
        )
    return str(source.target)


def _check_readers(model: nn.Module, node: torch.fx.Node, pairs: dict[str, str]) -> None:
    """Every use of the layer must go through its BatchNorm1d, or folding would change the others."""
    for user in node.users:
        if isinstance(called_module(model, user), PASS_THROUGH):
            _check_readers(model, user, pairs)
        elif user.target not in pairs:
            raise ContractError(
                f"module {node.target} is read by {user.name} without its BatchNorm1d",
                remedy="normalise every use of the layer, or none",
            )


def _fold(model: nn.Module, norm_path: str, linear_path: str) -> None:
    norm, linear = model.get_submodule(norm_path), model.get_submodule(linear_path)
    assert isinstance(norm, nn.BatchNorm1d) and isinstance(linear, nn.Linear)
    if norm.running_mean is None or norm.running_var is None:
        raise ContractError(
            f"module {norm_path} keeps no running statistics", remedy="use track_running_stats=True and train again"
        )
    with torch.no_grad():
        factor = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            factor = factor * norm.weight.double()
        shift = 0.0 if norm.bias is None else norm.bias.double()
        bias = 0.0 if linear.bias is None else linear.bias.double()
        weight = linear.weight.double() * factor.unsqueeze(1)
        bias = (bias - norm.running_mean.double()) * factor + shift
        linear.weight.copy_(weight)
        if linear.bias is None:
            linear.bias = nn.Parameter(bias.to(linear.weight.dtype))
        else:
            linear.bias.copy_(bias)
    parent, _, name = norm_path.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.Identity())
