"""Sizes of the graphs that `evaluate`, `graphs` and `validate` meet, and what limits them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..detector.track_builder import component_of_node
from ..fpga_backend import Chain, TrackingResult
from ..quantization import Maxima
from ..reports.size_record import GraphSizes, SizeLimit

SizeCounts = Counter[tuple[int, int]]
"""How often a graph of so many nodes and edges was met."""


def network_limit(maxima: Maxima, network: str) -> SizeLimit:
    """The maxima of a network's typed graph."""
    return SizeLimit(nodes=maxima.nodes, edges=maxima.edges, of=network)


@dataclass(kw_only=True)
class ChainSizes:
    """Graphs of a chain, counted by size over events.

    Attributes:
        candidates: Radius graphs: all hits of an event.
        filtered: What the filter leaves of them; hits without an edge are left out.
        components: Connected components of these: what an engine of fixed size takes whole.
    """

    candidates: SizeCounts = field(default_factory=Counter)
    filtered: SizeCounts = field(default_factory=Counter)
    components: SizeCounts = field(default_factory=Counter)

    def add(self, result: TrackingResult) -> None:
        """Count the graphs of one event; the result keeps the candidates."""
        assert result.candidate_edges is not None
        self.candidates[len(result.labels), len(result.candidate_edges)] += 1
        nodes, edges = component_sizes(result.edge_index, len(result.labels))
        self.filtered[int(nodes.sum()), int(edges.sum())] += 1
        self.components.update(zip(nodes.tolist(), edges.tolist(), strict=True))

    def merge(self, other: ChainSizes) -> None:
        """Add what was counted in later events."""
        self.candidates.update(other.candidates)
        self.filtered.update(other.filtered)
        self.components.update(other.components)

    def record(self, chain: Chain, *, sample: str) -> tuple[GraphSizes, ...]:
        """The sizes; those that the interaction network sees, against its maxima."""
        limit = network_limit(chain.executors["interaction_network"].graph.maxima, "interaction_network")
        return (
            GraphSizes.of(self.candidates, kind="event, radius graph", sample=sample),
            GraphSizes.of(self.filtered, kind="event, after the filter", sample=sample, limit=limit),
            GraphSizes.of(self.components, kind="component, after the filter", sample=sample, limit=limit),
        )


def component_sizes(edge_index: NDArray[np.int64], hits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Nodes and edges, int64, of every connected component that has an edge."""
    component = component_of_node(edge_index, hits)
    edges = np.bincount(component[edge_index[:, 0]], minlength=int(component.max(initial=-1)) + 1)
    joined = edges > 0
    return np.bincount(component, minlength=len(edges))[joined], edges[joined]
