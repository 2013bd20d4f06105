"""Directed search for vectors: inputs that drive accumulators to where random ones do not get."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..quantization import Input, Requantize, TypedGraph
from .coverage import GraphCoverage, conversion_cases, round_to
from .golden import GoldenExecutor

Integers = NDArray[np.int64]
Vectors = dict[str, NDArray[np.float32] | NDArray[np.int64]]

GENERATIONS = 160
ROWS = 512
LARGEST_SOURCE = 256  # nodes and edges of a population of graphs
SHAPES = ((2, 4), (4, 16), (1, 8), (2, 64))  # nodes and edges of one individual, tried in turn
KEPT_SHARE = 4  # one of so many individuals survives a generation
CHANGE = 0.15  # share of the elements of a child that differ from its parent


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a search is after.

    Attributes:
        node: A requantization, whose `case` is to occur, or an output, whose value is to become extreme.
        case: A saturation or rounding case, or `highest` or `lowest`.

    """

    node: str
    case: str


def directed_vectors(
    graph: TypedGraph, coverage: GraphCoverage, *, seed: int = 0, generations: int = GENERATIONS
) -> Iterator[Vectors]:
    """Search for vectors that meet what others left unmet, and that drive each output to its ends.

    A population of small inputs (rows, or components of one graph) evolves on the golden model: the quarter that comes
    closest to the target survives, its children differ in some elements. Deterministic for a seed.

    Args:
        graph: The network.
        coverage: What other vectors reached; what is found here is added to it.
        seed: Seed of the search.
        generations: Most generations of one search.

    Yields:
        Inputs by name, within the maxima; nothing for a target that was not met and drove no tensor further.

    """
    golden = GoldenExecutor(graph)
    targets = [Target(node=node, case=case) for node, case in coverage.missing() if not _is_input(graph, node)]
    targets += [Target(node=node.name, case=case) for node in graph.outputs for case in ("lowest", "highest")]
    for number, target in enumerate(targets):
        if target.case in coverage.nodes[target.node].cases and coverage.nodes[target.node].cases[target.case]:
            continue  # met by an earlier search
        generator = np.random.default_rng([seed, number])
        found = _search(golden, target, generator, generations)
        values = golden.run_all(found)
        more = GraphCoverage(graph)
        more.add(found, values)
        if _extends(coverage, more):
            coverage.merge(more)
            yield found


def _is_input(graph: TypedGraph, node: str) -> bool:
    return isinstance(graph[node], Input)


def _extends(coverage: GraphCoverage, more: GraphCoverage) -> bool:
    for name, have in coverage.nodes.items():
        new = more.nodes[name]
        if any(new.cases.get(case) for case in have.missing):
            return True
        if new.reached_low is not None and new.reached_high is not None:
            low, high = have.reached_low, have.reached_high
            if low is None or high is None or new.reached_low < low or new.reached_high > high:
                return True
    return False


def _search(golden: GoldenExecutor, target: Target, generator: np.random.Generator, generations: int) -> Vectors:
    """The population that came closest to the target."""
    graph = golden.graph
    score, met = _objective(graph, target)
    best: tuple[float, Vectors] | None = None
    shapes = [shape for shape in SHAPES if shape[0] <= graph.maxima.nodes and shape[1] <= graph.maxima.edges]
    shapes = shapes if graph.is_graph_network else [(0, 0)]
    for nodes, edges in shapes or [(1, 1)]:
        population = _Population(graph, nodes=nodes, edges=edges, generator=generator)
        for _ in range(max(1, generations // len(shapes or [()]))):
            inputs = population.inputs()
            source = golden.run_all(inputs)[_source(graph, target.node)]
            scores = score(source).reshape(population.count, -1).max(axis=1)
            if best is None or scores.max() > best[0]:
                best = (float(scores.max()), inputs)
            if met(source):
                return inputs
            population.evolve(scores)
    assert best is not None
    return best[1]


def _source(graph: TypedGraph, node: str) -> str:
    return graph[node].inputs[0]


def _objective(
    graph: TypedGraph, target: Target
) -> tuple[Callable[[Integers], NDArray[np.float64]], Callable[[Integers], bool]]:
    """Score of each integer of the node's source, and whether the target is met."""
    node = graph[target.node]
    if not isinstance(node, Requantize):
        sign = 1.0 if target.case == "highest" else -1.0
        return (lambda source: sign * source.astype(np.float64)), (lambda _: False)
    form, fraction = node.tensor.format, graph[node.inputs[0]].tensor.format.fraction

    def met(source: Integers) -> bool:
        return conversion_cases(form, source, fraction=fraction)[target.case] > 0

    if target.case.startswith("saturates"):
        sign = 1.0 if target.case == "saturates high" else -1.0
        return (lambda source: sign * source.astype(np.float64)), met
    shift = min(fraction - form.fraction, 62)
    if shift <= 0:
        return (lambda source: -np.abs(source).astype(np.float64)), met
    whole = 1 << shift
    wanted = {"exact": 0, "below half": whole // 4, "tie": whole // 2, "above half": 3 * whole // 4}[target.case]

    def closeness(source: Integers) -> NDArray[np.float64]:
        distance = (source - wanted) % whole
        distance = np.minimum(distance, whole - distance).astype(np.float64)
        rounded = round_to(form, source, shift=shift)
        outside = np.maximum(np.maximum(form.low - rounded, rounded - form.high), 0).astype(np.float64)
        return -distance - outside * whole

    return closeness, met


class _Population:
    """Individuals: rows of a row network, or small components of one graph.

    Args:
        graph: The network.
        nodes: Nodes of one component; 0 for a row network.
        edges: Edges of one component.
        generator: Source of chance.

    """

    def __init__(self, graph: TypedGraph, *, nodes: int, edges: int, generator: np.random.Generator) -> None:
        self._graph, self._generator, self._nodes = graph, generator, nodes
        maxima = graph.maxima
        if graph.is_graph_network:
            room = (min(maxima.nodes, LARGEST_SOURCE) // nodes, min(maxima.edges, 2 * LARGEST_SOURCE) // edges)
            self.count, sizes = max(1, min(room)), {"N": nodes, "E": edges}
        else:
            self.count, sizes = ROWS, {"R": 1}
        self._genes: dict[str, Integers] = {}
        for node in graph.inputs:
            form, shape = node.tensor.format, (self.count, sizes[str(node.tensor.shape[0])], node.tensor.width)
            if node.tensor.is_index:
                self._genes[node.name] = generator.integers(0, nodes, shape)
            else:
                ends = np.where(generator.random(shape) < 0.5, form.low, form.high)
                inner = generator.integers(form.low, form.high + 1, shape)
                self._genes[node.name] = np.where(generator.random(shape) < 0.5, ends, inner)

    def inputs(self) -> Vectors:
        """The population as one batch."""
        result: Vectors = {}
        for node in self._graph.inputs:
            genes = self._genes[node.name]
            if node.tensor.is_index:
                offsets = np.arange(self.count).reshape(-1, 1, 1) * self._nodes
                result[node.name] = (genes + offsets).reshape(-1, 2)
            else:
                values = genes.reshape(-1, node.tensor.width) * node.tensor.format.scale
                result[node.name] = values.astype(np.float32)
        return result

    def evolve(self, scores: NDArray[np.float64]) -> None:
        """Keep the best individuals and replace the others by changed copies of them."""
        order = np.argsort(-scores, kind="stable")
        kept = order[: max(1, self.count // KEPT_SHARE)]
        children = order[len(kept) :]
        parents = self._generator.choice(kept, len(children))
        for node in self._graph.inputs:
            genes = self._genes[node.name]
            copies = genes[parents]
            changed = self._generator.random(copies.shape) < CHANGE
            genes[children] = np.where(changed, self._changes(node, copies), copies)

    def _changes(self, node: Input, genes: Integers) -> Integers:
        """Another value for each gene: an end of the range, any value, zero, or a step of any size."""
        generator, form = self._generator, node.tensor.format
        if node.tensor.is_index:
            return generator.integers(0, self._nodes, genes.shape)
        steps = generator.choice([-1, 1], genes.shape) << generator.integers(0, form.width, genes.shape)
        choices = (
            np.where(generator.random(genes.shape) < 0.5, form.low, form.high),
            generator.integers(form.low, form.high + 1, genes.shape),
            np.zeros_like(genes),
            np.clip(genes + steps, form.low, form.high),
        )
        return np.choose(generator.choice(4, genes.shape, p=[0.25, 0.15, 0.1, 0.5]), choices)
