"""Tensors in the firmware's static shapes: padding to the maxima, and vectors for the test bench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError, atomic_file
from ..quantization import TypedGraph
from .layers import static_shape
from .project import HlsProject

Arrays = Mapping[str, NDArray[Any]]


def pad_inputs(
    graph: TypedGraph, inputs: Arrays, *, nodes: int, edges: int, parallelism: int = 1
) -> dict[str, NDArray[np.float64]]:
    """Inputs as the firmware takes them: float64, padded to the maxima and to whole packets.

    Padding nodes are zero. Padding edges, and edges whose index is not below `nodes`, get the index `maxima.nodes`,
    which gathers zeros and is skipped by the aggregation.

    Args:
        graph: The network.
        inputs: Checked inputs by name.
        nodes: Nodes of the graph; 0 for a network of rows.
        edges: Edges of the graph; 0 for a network of rows.
        parallelism: Rows of one packet.

    Returns:
        Contiguous arrays by name: [rows, ...] for a network of rows, the static shape for a graph.

    Raises:
        GraphError: The graph is larger than the maxima.
    """
    maxima = graph.maxima
    if graph.is_graph_network and (nodes > maxima.nodes or edges > maxima.edges):
        raise GraphError(
            f"a graph of {nodes} nodes and {edges} edges exceeds the {maxima.nodes} nodes and {maxima.edges} edges"
            f" that {graph.name} was built for",
            remedy="build it with larger maxima, or split the event into smaller sectors",
        )
    padded = {}
    for node in graph.inputs:
        array = np.asarray(inputs[node.name])
        if node.tensor.is_index:
            array = np.where(array < nodes, array, maxima.nodes)
        if graph.is_graph_network:
            shape = static_shape(graph, node, parallelism=parallelism)
            full = np.full(shape, maxima.nodes if node.tensor.is_index else 0, dtype=np.float64)
            full[: len(array)] = array
            array = full
        padded[node.name] = np.ascontiguousarray(array, dtype=np.float64)
    return padded


def write_vectors(project: HlsProject, cases: Sequence[tuple[Arrays, Arrays]]) -> None:
    """Write vectors for the project's test bench (`make csim` and C/RTL cosimulation compare them).

    Args:
        project: The project; the files go to its `tb_data/`.
        cases: Pairs of inputs, as an executor's `run` takes them, and expected output values. `run` gives those in
            float32, which is exact up to 24 bits; wider outputs have to be given in float64.
    """
    graph, parallelism = project.graph, project.config.parallelism
    lines: dict[str, list[str]] = {node.name: [] for node in (*graph.inputs, *graph.outputs)}
    for inputs, outputs in cases:
        sizes = _graph_sizes(graph, inputs)
        padded = pad_inputs(graph, inputs, nodes=sizes["N"], edges=sizes["E"], parallelism=parallelism)
        for name, array in padded.items():
            lines[name] += _lines(array, batched=not graph.is_graph_network)
        for node in graph.outputs:
            expected = np.asarray(outputs[node.name], dtype=np.float64)
            if graph.is_graph_network:
                full = np.full(static_shape(graph, node, parallelism=parallelism), np.nan)
                full[: len(expected)] = expected
                expected = full
            lines[node.name] += _lines(expected, batched=not graph.is_graph_network)
    for name, text in lines.items():
        with atomic_file(project.directory / "tb_data" / f"{name}.txt") as temporary:
            temporary.write_text("".join(text), encoding="utf-8")


def _graph_sizes(graph: TypedGraph, inputs: Arrays) -> dict[str, int]:
    sizes = {"N": 0, "E": 0}
    for node in graph.inputs:
        first = node.tensor.shape[0]
        if first in sizes:
            sizes[str(first)] = len(inputs[node.name])
    return sizes


def _lines(array: NDArray[np.float64], *, batched: bool) -> list[str]:
    rows = array.reshape(len(array), -1) if batched else array.reshape(1, -1)
    return [" ".join("-" if np.isnan(value) else f"{value:.17g}" for value in row) + "\n" for row in rows]
