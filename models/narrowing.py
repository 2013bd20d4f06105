"""Structured pruning of an interaction network: the units worth keeping, as a narrower network of the same form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..core import ConfigError
from .config import InteractionConfig
from .networks import InteractionNetwork


def check_narrowable(config: InteractionConfig) -> None:
    """Check that the form of the network can be narrowed.

    Raises:
        ConfigError: It shares weights between rounds, has a skip connection, or widths of its own.
    """
    if config.has_encoders or config.hidden_layers > 1 or config.message_width or config.state_width:
        raise ConfigError(
            "only interaction networks of one width, without skip or shared weights, can be made narrower",
            remedy="leave pruned_from out, or skip, shared, hidden_layers, message_width and state_width",
        )


def narrow(network: InteractionNetwork, width: int) -> InteractionNetwork:
    """Keep the `width` most important units of every hidden tensor.

    A unit's importance is the length of its incoming weights, bias included, times that of its outgoing ones.

    Args:
        network: Trained float network.
        width: Units to keep, at most the network's width.

    Returns:
        Float network of that width with the weights of the units kept; the same function where the others were 0.

    Raises:
        ConfigError: The form cannot be narrowed (see `check_narrowable`), or it is not wider.
    """
    check_narrowable(network.config)
    if width > network.config.width:
        raise ConfigError(f"a network {network.config.width} wide has no {width} units", remedy="give a smaller width")
    result = InteractionNetwork(config=network.config.model_copy(update={"width": width}), quantized=False)
    with torch.no_grad():
        for name in ("node_scaling", "edge_scaling"):
            getattr(result, name).load_state_dict(getattr(network, name).state_dict())
        _Narrowing(network.config, old=_linears(network), new=_linears(result), width=width).copy()
    return result.eval()


class _Narrowing:
    """Copies the best units from layer to layer."""

    def __init__(
        self, config: InteractionConfig, *, old: Mapping[str, nn.Linear], new: Mapping[str, nn.Linear], width: int
    ) -> None:
        self.old, self.new, self.width = old, new, width
        self.rounds, self.full = config.rounds, config.width
        self.ends = 2 if config.aggregate_senders else 1
        self.inputs = (config.node_inputs, config.edge_inputs)

    def copy(self) -> None:
        """Copy every layer after the input scalings."""
        nodes, edges = (torch.arange(count) for count in self.inputs)
        for number in range(self.rounds):
            nodes, edges = self._round(number, nodes, edges)
        hidden = self._best("output.dense0", [("output.dense1", 0)])
        columns = torch.cat([nodes, self.full + nodes, 2 * self.full + edges])
        self._copy("output.dense0", hidden, columns)
        self._copy("output.dense1", torch.arange(1), hidden)

    def _round(self, number: int, nodes: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Copy one round, of whose inputs these units are kept; returns those of its node states and messages."""
        edge, node, full = f"rounds.{number}.edge_update", f"rounds.{number}.node_update", self.full
        last = number == self.rounds - 1
        following = "output.dense0" if last else f"rounds.{number + 1}.edge_update.dense0"
        states = self.inputs[0] if number == 0 else full  # width of the node states coming in
        places = [states + end * full for end in range(self.ends)]
        messages = self._best(f"{edge}.dense1", [(f"{node}.dense0", at) for at in places] + [(following, 2 * full)])
        uses = [(following, 0), (following, full)] + ([] if last else [(f"rounds.{number + 1}.node_update.dense0", 0)])
        updated = self._best(f"{node}.dense1", uses)
        self._perceptron(edge, torch.cat([nodes, states + nodes, 2 * states + edges]), messages)
        self._perceptron(node, torch.cat([nodes, *(at + messages for at in places)]), updated)
        return updated, messages

    def _perceptron(self, path: str, columns: Tensor, rows: Tensor) -> None:
        hidden = self._best(f"{path}.dense0", [(f"{path}.dense1", 0)])
        self._copy(f"{path}.dense0", hidden, columns)
        self._copy(f"{path}.dense1", rows, hidden)

    def _best(self, path: str, uses: Sequence[tuple[str, int]]) -> Tensor:
        """Most important outputs of a layer, ascending; `uses` are the layers that read them, from which column on."""
        dense = self.old[path]
        count = dense.out_features
        incoming = torch.cat([dense.weight, dense.bias[:, None]], dim=1).norm(dim=1)
        outgoing = torch.cat([self.old[layer].weight[:, start : start + count] for layer, start in uses]).norm(dim=0)
        order = torch.argsort(incoming * outgoing, descending=True, stable=True)
        return order[: self.width].sort().values

    def _copy(self, path: str, rows: Tensor, columns: Tensor) -> None:
        self.new[path].weight.copy_(self.old[path].weight[rows][:, columns])
        self.new[path].bias.copy_(self.old[path].bias[rows])


def _linears(network: nn.Module) -> dict[str, nn.Linear]:
    return {path: layer for path, layer in network.named_modules() if isinstance(layer, nn.Linear)}
