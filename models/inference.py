"""Float32 forward passes of the networks on NumPy arrays, for training and its evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

ROWS = 1 << 16
"""Rows per forward pass: bounds memory, and keeps activations in the cache."""


def as_tensor(array: NDArray[Any], network: nn.Module) -> torch.Tensor:
    """An array as a tensor where the network is: the one place where data go to an accelerator."""
    return torch.from_numpy(array).to(next(network.parameters()).device)


def forward_rows(network: nn.Module, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply a row network (embedding or filter) to [R, F]; returns [R, outputs]."""
    with torch.no_grad():
        parts = [network(part) for part in as_tensor(rows, network).split(ROWS)]
    return torch.cat(parts).cpu().numpy()


def forward_graph(
    network: nn.Module, nodes: NDArray[np.float32], edges: NDArray[np.float32], edge_index: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Apply the interaction network to one graph; returns logits [E]."""
    with torch.no_grad():
        logits = network(*(as_tensor(array, network) for array in (nodes, edges, edge_index)))
    return logits.squeeze(-1).cpu().numpy()
