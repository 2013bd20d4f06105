"""Weights of a trained torch_geometric network, by the names of its state, without torch_geometric.

Recipe: train there with convolutions that sum (`aggr="sum"`) or take a maximum, each followed by a ReLU (an EdgeConv
that sums needs it at the end of its `nn`, before the sum), and save `model.state_dict()`. Make the `ConvolutionNetwork`
of the same form here, `load_pyg` the state into its float twin (which then computes the same function, up to float
rounding), load the twin's state into the quantized network, and train that for some epochs. PyG's `edge_index` is
[2, E] (source, target): give its transpose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..core import ContractError
from .message_passing import Convolution, ConvolutionNetwork, fold_difference

State = Mapping[str, Tensor]


def load_pyg(network: ConvolutionNetwork, state: State, *, convolutions: Sequence[str], score: str) -> None:
    """Take the weights of a torch_geometric network.

    Args:
        network: Network or float twin of the same form; changed in place.
        state: `state_dict()` of the trained network.
        convolutions: Name of each convolution in `state`, in order, e.g. `("convs.0", "convs.1")`; of the kind that
            `network.config.kind` says: EdgeConv, GCNConv(normalize=False), SAGEConv(aggr="sum") or GINConv.
        score: Name of the `nn.Sequential` of Linear and ReLU that scores edges from [x_source, x_target], or nodes.

    Raises:
        ContractError: A parameter is missing, of another shape, of a form that has no equal here, or left over: what
            nothing here takes would be missing in the function computed.

    """
    state = _Taken(state)
    if len(convolutions) != network.config.rounds:
        raise ContractError(
            f"{len(convolutions)} convolutions for a network of {network.config.rounds} rounds",
            remedy="name each convolution once, in order",
        )
    kind = network.config.kind
    found = [(prefix, convolution_layers(state, prefix, kind)) for prefix in convolutions]
    found.append((score, perceptron_layers(state, score)))
    if left := state.left():
        raise ContractError(
            f"nothing takes {', '.join(left)} of the state",
            remedy="use convolutions without them, or delete them from the state if its forward does not use them",
        )
    targets = [convolution.layers for convolution in network.convolutions if isinstance(convolution, Convolution)]
    for target, (prefix, layers) in zip([*targets, network.score], found, strict=True):
        _load(target, layers, prefix)


class _Taken(dict[str, Tensor]):
    """A state that remembers which parameters were read."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)

    def left(self) -> list[str]:
        """Names of the parameters that nothing read."""
        return sorted(set(self) - self.read)


def convolution_layers(state: State, prefix: str, kind: str) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of the dense layers of one convolution, rearranged for what EdgeGather and concat give.

    A missing bias is zero.
    """
    if kind == "sage":
        left, right = _get(state, f"{prefix}.lin_l.weight"), _get(state, f"{prefix}.lin_r.weight")
        return [(torch.cat([left, right], dim=1), _bias(state, f"{prefix}.lin_l.bias", left))]
    if kind == "gcn":
        weight = _get(state, f"{prefix}.lin.weight")
        return [(weight, _bias(state, f"{prefix}.bias", weight))]
    (weight, bias), *others = perceptron_layers(state, f"{prefix}.nn")
    if kind == "gin":
        name = f"{prefix}.eps"
        eps = state[name] if name in state else torch.zeros(1)
        return [(torch.cat([weight, (1 + eps) * weight], dim=1), bias), *others]
    return [(fold_difference(weight), bias), *others]


def perceptron_layers(state: State, prefix: str) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of each Linear of an `nn.Sequential`; a missing bias is zero."""
    pattern = re.compile(rf"{re.escape(prefix)}\.(?:lins\.)?(\d+)\.weight\Z")
    found = sorted((int(match[1]), name) for name in state if (match := pattern.match(name)))
    if any(name.startswith(f"{prefix}.") and name.endswith("running_mean") for name in state):
        raise ContractError(f"{prefix} holds a BatchNorm1d", remedy="fold it first with fold_batch_norm")
    if not found:
        raise ContractError(f"the state has no layers under {prefix}", remedy=f"name one of {_prefixes(state)}")
    layers = []
    for _, name in found:
        weight = state[name]
        layers.append((weight, _bias(state, name.removesuffix("weight") + "bias", weight)))
    return layers


def _load(target: nn.Sequential, layers: Sequence[tuple[Tensor, Tensor]], prefix: str) -> None:
    dense = [module for module in target if isinstance(module, nn.Linear)]
    if len(dense) != len(layers):
        raise ContractError(
            f"{prefix} has {len(layers)} layers, and the network {len(dense)}", remedy="give both the same depth"
        )
    for number, (layer, (weight, bias)) in enumerate(zip(dense, layers, strict=True)):
        if layer.weight.shape != weight.shape:
            raise ContractError(
                f"layer {number} of {prefix} has weights {list(weight.shape)}, the network {list(layer.weight.shape)}",
                remedy="give both the same widths",
            )
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)


def _get(state: State, name: str) -> Tensor:
    if name not in state:
        raise ContractError(f"the state has no {name}", remedy=f"name one of {_prefixes(state)}")
    return state[name]


def _bias(state: State, name: str, weight: Tensor) -> Tensor:
    return state[name] if name in state else weight.new_zeros(len(weight))


def _prefixes(state: State) -> list[str]:
    return sorted({name.rpartition(".")[0] for name in state})
