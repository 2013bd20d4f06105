"""What of a call of a network is checked: some rows, or a graph of no more than the C simulation's maxima."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..detector.track_builder import component_of_node
from ..quantization import Input, Maxima, Output, TypedGraph
from .signature import Arrays

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a call that can be computed by itself, with the part of the answer that belongs to it.

    Attributes:
        inputs: Inputs of the network, by name.
        outputs: What was answered, by name.
    """

    inputs: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Size of all arrays."""
        return sum(array.nbytes for arrays in (self.inputs, self.outputs) for array in arrays.values())

    @classmethod
    def of_call(
        cls, graph: TypedGraph, inputs: Arrays, outputs: Arrays, *, rows: int, rng: np.random.Generator
    ) -> Piece:
        """A copy of a call: all of a graph; of independent rows at most `rows`, drawn by chance.

        Args:
            graph: The network.
            inputs: Its inputs, by name; nothing of them is kept.
            outputs: Its outputs, by name; nothing of them is kept.
            rows: Most rows.
            rng: Draws them.
        """
        if graph.is_graph_network:
            kept: Any = slice(None)
        else:
            count = len(inputs[graph.inputs[0].name])
            kept = slice(None) if count <= rows else np.sort(rng.choice(count, size=rows, replace=False))
        return cls(
            inputs={node.name: np.array(inputs[node.name][kept]) for node in graph.inputs},
            outputs={node.name: np.array(outputs[node.name][kept]) for node in graph.outputs},
        )


def sizes_of(graph: TypedGraph, piece: Piece) -> tuple[int, int]:
    """Nodes and edges of a call of a graph network."""
    found = {node.tensor.shape[0]: len(piece.inputs[node.name]) for node in graph.inputs}
    return found.get("N", 0), found.get("E", 0)


def draw_piece(graph: TypedGraph, whole: Piece, maxima: Maxima, rng: np.random.Generator) -> Piece | None:
    """As many connected components of a graph as fit the maxima, drawn by chance.

    No edge joins two components, so that message passing on some of them gives what it gives on the whole graph.

    Args:
        graph: The network.
        whole: A call of it.
        maxima: Most nodes and edges.
        rng: Draws the order of the components.

    Returns:
        `whole` itself if it fits, and None if none of its components does.
    """
    nodes, edges = sizes_of(graph, whole)
    if nodes <= maxima.nodes and edges <= maxima.edges:
        return whole
    (index_name,) = (node.name for node in graph.inputs if node.tensor.is_index)
    edge_index = whole.inputs[index_name]
    component = component_of_node(edge_index, nodes)
    edge_component = component[edge_index[:, 0]]
    chosen = _choose(np.bincount(component), np.bincount(edge_component, minlength=component.max() + 1), maxima, rng)
    if not chosen.any():
        return None
    return _cut(graph, whole, index_name, np.flatnonzero(chosen[component]), np.flatnonzero(chosen[edge_component]))


def _choose(
    node_counts: Integers, edge_counts: Integers, maxima: Maxima, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which components are taken: in an order drawn by chance, until the next would not fit."""
    order = rng.permutation(len(node_counts))
    usable = (node_counts <= maxima.nodes) & (edge_counts <= maxima.edges) & (edge_counts > 0)
    order = order[usable[order]]
    fits = (np.cumsum(node_counts[order]) <= maxima.nodes) & (np.cumsum(edge_counts[order]) <= maxima.edges)
    chosen = np.zeros(len(node_counts), dtype=np.bool_)
    chosen[order[fits]] = True
    return chosen


def _cut(graph: TypedGraph, whole: Piece, index_name: str, node_rows: Integers, edge_rows: Integers) -> Piece:
    rows: Mapping[object, Integers] = {"N": node_rows, "E": edge_rows}

    def part(node: Input | Output, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return arrays[node.name][rows[node.tensor.shape[0]]]

    inputs = {node.name: part(node, whole.inputs) for node in graph.inputs}
    inputs[index_name] = np.searchsorted(node_rows, inputs[index_name])
    return Piece(inputs=inputs, outputs={node.name: part(node, whole.outputs) for node in graph.outputs})
