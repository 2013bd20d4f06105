"""What an RTL engine says of each graph, what it ought to say, and the order in which it wants the edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from ..hls_projects.rtl_project import RtlProject
from ..hls_projects.rtl_simulation_beats import read_words
from ..hls_projects.rtl_simulation_streams import Beats
from ..quantization import TypedGraph
from .executor import Arrays
from .inputs import Sizes
from .rtl_beats import REPORT

Integers = NDArray[np.int64]

COUNT_LIMIT = 1 << 16  # a header counts in 16 bits


@dataclass(frozen=True, kw_only=True)
class Flags:
    """The flags of one graph, lowest first.

    Attributes:
        too_many_nodes: More nodes than the maximum; the graph was swallowed.
        too_many_edges: More edges than the maximum; the graph was swallowed.
        index_out_of_range: An edge ends at no node of the graph; it was treated as padding.
        edges_out_of_order: The engine takes edges in the order of their destinations, and these were not.
    """

    too_many_nodes: bool = False
    too_many_edges: bool = False
    index_out_of_range: bool = False
    edges_out_of_order: bool = False

    @property
    def refused(self) -> bool:
        """Whether the graph gives no outputs."""
        return self.too_many_nodes or self.too_many_edges


NAMES = tuple(field.name for field in fields(Flags))


def read_status(beats: Beats) -> list[Flags]:
    """Flags of each graph: the tag in the lowest 32 bits, then a bit for each.

    Raises:
        GraphError: The tags are not those of the headers, in order, or there are flags that nobody knows.
    """
    words = read_words(beats)
    wrong = np.flatnonzero(words[:, 0] != np.arange(len(words)))
    if len(wrong):
        place = int(wrong[0])
        raise GraphError(f"status {place} of the engine carries the tag {words[place, 0]}", remedy=REPORT)
    unknown = np.flatnonzero(words[:, 1] >> len(NAMES))
    if len(unknown):
        place = int(unknown[0])
        raise GraphError(f"status {place} of the engine sets the flags {words[place, 1]:#x}", remedy=REPORT)
    return [Flags(**{name: bool(word >> k & 1) for k, name in enumerate(NAMES)}) for word in words[:, 1]]


def expected_flags(graph: TypedGraph, inputs: Arrays, size: Sizes) -> Flags:
    """The flags that an engine built for a graph has to give."""
    if _is_refused(graph, size):
        return Flags(too_many_nodes=size.nodes > graph.maxima.nodes, too_many_edges=size.edges > graph.maxima.edges)
    indices = [np.asarray(inputs[node.name]) for node in graph.inputs if node.tensor.is_index]
    return Flags(index_out_of_range=any(bool((index >= size.nodes).any()) for index in indices))


def check_flags(found: Sequence[Flags], expected: Sequence[Flags]) -> None:
    """Hold the engine to the flags expected.

    Raises:
        GraphError: Some differ.
    """
    for place, (have, want) in enumerate(zip(found, expected, strict=True)):
        if have != want:
            raise GraphError(f"the engine's status of graph {place} is {have}, and ought to be {want}", remedy=REPORT)


def check_size(graph: TypedGraph, size: Sizes, *, maxima: bool) -> None:
    """Refuse what the engine cannot take.

    Args:
        graph: The network, for the maxima that were built.
        size: Sizes of one call.
        maxima: Whether to refuse what is larger than the maxima too, which the engine would refuse itself.

    Raises:
        GraphError: It is too large; the message names both sizes.
    """
    if maxima and _is_refused(graph, size):
        raise GraphError(
            f"a graph of {size.nodes} nodes and {size.edges} edges exceeds the {graph.maxima.nodes} nodes and"
            f" {graph.maxima.edges} edges that {graph.name} was built for",
            remedy="build it with larger maxima, or split the event into smaller sectors",
        )
    largest = max(size.nodes, size.edges, size.rows)
    if largest >= COUNT_LIMIT:
        raise GraphError(f"{largest} are more than a header counts", remedy=f"give fewer than {COUNT_LIMIT}")


def _is_refused(graph: TypedGraph, size: Sizes) -> bool:
    return graph.is_graph_network and (size.nodes > graph.maxima.nodes or size.edges > graph.maxima.edges)


def edge_order(project: RtlProject, tensors: Mapping[str, Integers], size: Sizes) -> Integers | None:
    """The order in which the engine wants the edges, padding last; None for the one they have."""
    if project.edge_order is None:
        return None
    index = next(tensors[node.name] for node in project.graph.inputs if node.tensor.is_index)
    return np.argsort(np.minimum(index[:, project.edge_order], size.nodes), kind="stable")


def permuted(graph: TypedGraph, tensors: Mapping[str, Integers], order: Integers | None) -> dict[str, Integers]:
    """Inputs with the edges in that order."""
    if order is None:
        return dict(tensors)
    over_edges = {node.name for node in graph.inputs if node.tensor.shape[0] == "E"}
    return {name: array[order] if name in over_edges else array for name, array in tensors.items()}


def restored(tensors: Mapping[str, Integers], order: Integers | None) -> dict[str, Integers]:
    """Outputs over edges in the order that the edges were given."""
    if order is None:
        return dict(tensors)
    places = np.argsort(order)
    return {name: array[places] for name, array in tensors.items()}
