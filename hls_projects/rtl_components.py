"""Connected components in RTL: scored edges of one graph in, the label of every node out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.sparse import coo_array, csgraph

from ..core import GraphError, StrictModel

TOP = "component_labels"
SOURCES = tuple(
    Path(__file__).parent / "rtl" / f"{name}.v"
    for name in ("component_labels", "component_edges", "component_registers", "component_output", "stream_fifo")
)
"""Verilog of `TOP`; its head describes the streams."""

TOO_MANY_NODES, TOO_MANY_EDGES, BAD_INDEX, BAD_LENGTH = (1 << bit for bit in range(4))
"""Flags of the status, from bit 32 of its beat."""


class ComponentsConfig(StrictModel):
    """Parameters of the component labelling.

    Attributes:
        max_nodes: Most nodes of a graph; each has a register.
        max_edges: Most edges of a graph.
        lanes: Edges of a beat.
        merges: Edges resolved per cycle; divides `lanes`.
        label_lanes: Labels of a beat.
        logit_bits: Bits of a logit, two's complement.
        threshold: Smallest integer logit of an edge that counts.
        fifo_bits: log2 of the accepted edges that wait in each lane; with all of a graph's the input never waits.
    """

    max_nodes: int = Field(default=256, ge=2, le=4096)
    max_edges: int = Field(default=512, ge=1, le=1 << 15)
    lanes: int = Field(default=8, ge=1, le=64)
    merges: int = Field(default=4, ge=1, le=16)
    label_lanes: int = Field(default=8, ge=1, le=64)
    logit_bits: int = Field(default=17, ge=1, le=32)
    threshold: int = 0
    fifo_bits: int = Field(default=6, ge=1, le=12)

    @model_validator(mode="after")
    def _check(self) -> ComponentsConfig:
        if self.lanes % self.merges:
            raise ValueError(f"merges {self.merges} does not divide lanes {self.lanes}")
        if not -(1 << (self.logit_bits - 1)) <= self.threshold < 1 << (self.logit_bits - 1):
            raise ValueError(f"threshold {self.threshold} is no logit of {self.logit_bits} bits")
        return self

    @property
    def index_bits(self) -> int:
        """Bits of a node index and of a label."""
        return self.max_nodes.bit_length()

    @property
    def no_track(self) -> int:
        """Label of a node without an accepted edge: all ones."""
        return (1 << self.index_bits) - 1

    @property
    def parameters(self) -> Mapping[str, int]:
        """Parameters of the module `component_labels`."""
        names = ("max_nodes", "max_edges", "lanes", "merges", "label_lanes", "logit_bits", "threshold", "fifo_bits")
        return {name.upper(): int(getattr(self, name)) for name in names}


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """What the module says of one graph.

    Attributes:
        labels: int64 [nodes], smallest index of the node's component, `no_track` elsewhere; empty if over-size.
        flags: `TOO_MANY_NODES`, ... added up.
    """

    labels: NDArray[np.int64]
    flags: int


def label_components(
    edge_index: NDArray[np.int64], logits: NDArray[np.int64], nodes: int, config: ComponentsConfig
) -> Components:
    """The labels that the module gives: its integer reference, with SciPy's connected components.

    Args:
        edge_index: int64 [edges, 2], columns (sender, receiver); an edge with an index >= nodes is skipped and flagged.
        logits: int64 [edges], integers of the network's output.
        nodes: Number of nodes.
        config: Sizes and threshold.

    Returns:
        Labels and flags. An edge from a node to itself joins nothing.

    Raises:
        GraphError: Not one logit per edge, or a negative index or number.
    """
    if logits.shape != (len(edge_index),) or nodes < 0 or (len(edge_index) and edge_index.min() < 0):
        raise GraphError(
            f"{logits.shape} logits for {len(edge_index)} edges of {nodes} nodes, or a negative index",
            remedy="give one logit per edge, and indices from 0",
        )
    over = (nodes > config.max_nodes) * TOO_MANY_NODES + (len(edge_index) > config.max_edges) * TOO_MANY_EDGES
    if over:
        return Components(labels=np.zeros(0, dtype=np.int64), flags=over)
    inside = (edge_index < nodes).all(axis=1)
    sender, receiver = edge_index[inside & (logits >= config.threshold)].T
    labels = np.full(nodes, config.no_track, dtype=np.int64)
    if nodes:
        adjacency = coo_array((np.ones(len(sender), dtype=np.int8), (sender, receiver)), shape=(nodes, nodes))
        count, component = csgraph.connected_components(adjacency, directed=False)
        smallest = np.full(count, nodes, dtype=np.int64)
        np.minimum.at(smallest, component, np.arange(nodes))
        several = np.bincount(component, minlength=count)[component] > 1
        labels[several] = smallest[component[several]]
    return Components(labels=labels, flags=0 if inside.all() else BAD_INDEX)
