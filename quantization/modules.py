"""Graph operations as modules: what `torch.fx` sees as one node, and firmware as one kernel."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..core import ContractError


class EdgeGather(nn.Module):
    """Features of both ends of each edge, [x[sender], x[receiver]].

    An index at or above the number of nodes is padding and gives zeros.
    """

    def forward(self, nodes: Tensor, edge_index: Tensor) -> Tensor:
        """Gather.

        Args:
            nodes: [..., N, F] node features; N may be 0.
            edge_index: [..., E, 2] non-negative (sender, receiver).

        Returns:
            [..., E, 2F], of the dtype of `nodes`.
        """
        # One zero row past the last node is what padding reads.
        padded = nn.functional.pad(nodes, (0, 0, 0, 1))
        rows = _rows(edge_index, padded.shape[-2])
        gathered = padded.reshape(-1, padded.shape[-1]).index_select(0, rows.reshape(-1))
        return gathered.reshape(*edge_index.shape[:-1], 2 * nodes.shape[-1])


class EdgeAggregate(nn.Module):
    """Sum or maximum of edge features at the nodes; padding edges are skipped.

    Args:
        column: End of the edge that receives: 1 receiver, 0 sender.
        mode: `sum`, or `max`: 0 where a node has no edge, and never below 0.

    Raises:
        ContractError: No such column or mode.
    """

    def __init__(self, column: Literal[0, 1] = 1, mode: Literal["sum", "max"] = "sum") -> None:
        super().__init__()
        if column not in (0, 1) or mode not in ("sum", "max"):
            raise ContractError(
                f"aggregate at column {column!r} by {mode!r}", remedy="use column 0 or 1, mode sum or max"
            )
        self.column: Literal[0, 1] = column
        self.mode: Literal["sum", "max"] = mode

    def forward(self, edges: Tensor, edge_index: Tensor, nodes: Tensor) -> Tensor:
        """Aggregate.

        Args:
            edges: [..., E, F] edge features.
            edge_index: [..., E, 2] non-negative (sender, receiver).
            nodes: [..., N, G]; only its number of nodes is used.

        Returns:
            [..., N, F], of the dtype of `edges`.
        """
        lead, features = edges.shape[:-2], edges.shape[-1]
        slots = nodes.shape[-2] + 1  # the last one collects padding and is dropped
        rows = _rows(edge_index, slots)[..., self.column].reshape(-1)
        sums = edges.new_zeros((lead.numel() * slots, features))
        values = edges.reshape(-1, features)
        if self.mode == "sum":
            result = sums.index_add(0, rows, values)
        else:
            result = sums.scatter_reduce(0, rows.unsqueeze(-1).expand_as(values), values, "amax", include_self=True)
        return result.reshape(*lead, slots, features)[..., :-1, :]

    def extra_repr(self) -> str:
        """Arguments shown in the printed model."""
        return f"column={self.column}, mode={self.mode!r}"


def _rows(edge_index: Tensor, slots: int) -> Tensor:
    """Row of each index in the flattened [graphs * slots] table; padding goes to the last slot of its graph."""
    index = edge_index.long().clamp(max=slots - 1)
    graphs = index.shape[:-2].numel()
    if graphs <= 1:
        return index
    offsets = torch.arange(graphs, device=index.device).reshape(*index.shape[:-2], 1, 1)
    return index + offsets * slots
