"""Vectors at the extremes of every format: what real events may never reach, and firmware must still get right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..quantization import Input, TypedGraph
from .coverage import GraphCoverage
from .golden import GoldenExecutor
from .search import directed_vectors

Vectors = dict[str, NDArray[np.float32] | NDArray[np.int64]]


def extreme_vectors(graph: TypedGraph, *, seed: int = 0, random_rows: int = 1000) -> Iterator[Vectors]:
    """Batches at the extremes of the formats.

    Features: all smallest, all largest, alternating, zero, beyond saturation, ties of the rounding, and uniform over
    one and a half times the range. Graphs: no nodes, no edges, padding edges only, all edges into one node, both sizes
    at their maxima, random.

    Args:
        graph: The network.
        seed: Seed of the random vectors.
        random_rows: Rows of random vectors of a row network.

    Yields:
        Inputs by name.

    """
    generator = np.random.default_rng(seed)
    if not graph.is_graph_network:
        for features in _feature_sets(graph, {"R": 64}, generator):
            yield features
        yield _random_features(graph, {"R": random_rows}, generator)
        return
    nodes, edges = graph.maxima.nodes, graph.maxima.edges
    index_name = next(node.name for node in graph.inputs if node.tensor.is_index)
    for sizes in ({"N": 0, "E": 0}, {"N": nodes, "E": 0}, {"N": 1, "E": 1}):
        index = np.zeros((sizes["E"], 2), dtype=np.int64)
        yield {**_random_features(graph, sizes, generator), index_name: index}
    full = {"N": nodes, "E": edges}
    for features in _feature_sets(graph, full, generator):
        yield {**features, index_name: generator.integers(0, nodes, (edges, 2))}
    indices = {
        "padding": np.full((edges, 2), nodes, dtype=np.int64),
        "one receiver": np.stack([generator.integers(0, nodes, edges), np.full(edges, nodes - 1)], axis=1),
        "one sender": np.stack([np.zeros(edges, dtype=np.int64), generator.integers(0, nodes, edges)], axis=1),
        "some padding": generator.integers(0, nodes + 1, (edges, 2)),
    }
    for index in indices.values():
        yield {**_random_features(graph, full, generator), index_name: index}


def random_vectors(graph: TypedGraph, generator: np.random.Generator, *, rows: int = 1000) -> Vectors:
    """One batch of random inputs: a row network's rows, or a graph of random size with some padding edges.

    Args:
        graph: The network.
        generator: Source of chance.
        rows: Rows of a row network.

    Returns:
        Inputs by name, features uniform over one and a half times the range of their format.

    """
    if not graph.is_graph_network:
        return _random_features(graph, {"R": rows}, generator)
    maxima = graph.maxima
    sizes = {"N": int(generator.integers(1, maxima.nodes + 1)), "E": int(generator.integers(1, maxima.edges + 1))}
    index = {
        node.name: generator.integers(0, sizes["N"] + 1, (sizes["E"], 2))
        for node in graph.inputs
        if node.tensor.is_index
    }
    return {**_random_features(graph, sizes, generator), **index}


def format_vectors(graph: TypedGraph, *, seed: int = 0) -> list[Vectors]:
    """Extremes of every format, then what a directed search adds to their coverage.

    Args:
        graph: The network.
        seed: Seed of the random vectors and of the search.

    Returns:
        Inputs by name, one mapping per batch, every batch within the maxima.

    """
    golden, coverage = GoldenExecutor(graph), GraphCoverage(graph)
    found = list(extreme_vectors(graph, seed=seed))
    for inputs in found:
        coverage.add(inputs, golden.run_all(inputs))
    return [*found, *directed_vectors(graph, coverage, seed=seed)]


def _features(graph: TypedGraph) -> list[Input]:
    return [node for node in graph.inputs if not node.tensor.is_index]


def _shape(node: Input, sizes: dict[str, int]) -> tuple[int, int]:
    return sizes[str(node.tensor.shape[0])], node.tensor.width


def _feature_sets(graph: TypedGraph, sizes: dict[str, int], generator: np.random.Generator) -> Iterator[Vectors]:
    def filled(low: float, high: float) -> Vectors:
        """Alternates between two integers of each format, given as shares of its range."""
        result: Vectors = {}
        for node in _features(graph):
            form, shape = node.tensor.format, _shape(node, sizes)
            values = np.where(np.indices(shape).sum(axis=0) % 2 == 0, low, high)
            ends = np.where(values < 0, -values * form.low, values * form.high) * form.scale
            result[node.name] = ends.astype(np.float32)
        return result

    yield filled(-1.0, -1.0)
    yield filled(1.0, 1.0)
    yield filled(-1.0, 1.0)
    yield filled(0.0, 0.0)
    yield filled(-1e4, 1e4)
    ties: Vectors = {}
    for node in _features(graph):
        form = node.tensor.format
        integers = generator.integers(form.low, form.high + 1, _shape(node, sizes))
        ties[node.name] = ((integers + generator.choice([0.0, 0.25, 0.5, 0.75], integers.shape)) * form.scale).astype(
            np.float32
        )
    yield ties


def _random_features(graph: TypedGraph, sizes: dict[str, int], generator: np.random.Generator) -> Vectors:
    result: Vectors = {}
    for node in _features(graph):
        form = node.tensor.format
        uniform = generator.uniform(1.5 * form.low, 1.5 * form.high, _shape(node, sizes))
        result[node.name] = (uniform * form.scale).astype(np.float32)
    return result
