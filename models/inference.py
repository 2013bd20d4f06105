"""Float32 forward passes of the networks on NumPy arrays, for training and its evaluation."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

ROWS = 1 << 16
"""Rows per forward pass: bounds memory, and keeps activations in the cache."""


def forward_rows(network: nn.Module, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply a row network (embedding or filter) to [R, F]; returns [R, outputs]."""
    with torch.no_grad():
        parts = [network(part) for part in torch.from_numpy(rows).split(ROWS)]
    return torch.cat(parts).numpy()


def forward_graph(
    network: nn.Module, nodes: NDArray[np.float32], edges: NDArray[np.float32], edge_index: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Apply the interaction network to one graph; returns logits [E]."""
    with torch.no_grad():
        logits = network(torch.from_numpy(nodes), torch.from_numpy(edges), torch.from_numpy(edge_index))
    return logits.squeeze(-1).numpy()
