"""Mutations: a comparison that cannot fail proves nothing, so each kind of fault is planted and must be caught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from ..quantization import Dense, FixedPoint, Requantize, TypedGraph, rebuild
from .compare import Comparable, compare_executors
from .executor import Arrays
from .golden import GoldenExecutor

KINDS = ("weight bit", "rounding", "accumulator width", "edge")


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One planted fault.

    Attributes:
        kind: `weight bit`, `rounding`, `accumulator width` or `edge`.
        what: What was changed, in words.
        graph: The graph the mutated executor runs.
        accumulator_widths: Accumulators that wrap, by node.
        edge: Edge whose ends are swapped on input, or None.

    """

    kind: str
    what: str
    graph: TypedGraph
    accumulator_widths: Mapping[str, int]
    edge: int | None = None


@dataclass(frozen=True, kw_only=True)
class MutationResult:
    """Whether the comparison caught a mutation.

    Attributes:
        kind: Kind of the mutation.
        what: What was changed.
        executor: Executor that ran the mutated network.
        caught: Whether a mismatch was counted.
        node: First diverging node.

    """

    kind: str
    what: str
    executor: str
    caught: bool
    node: str | None


class MutatedExecutor:
    """An executor of the mutated network that stands in for the original one.

    Args:
        inner: Executor of the mutated graph.
        graph: The original graph.
        edge: Edge whose ends are swapped on input, or None.

    """

    def __init__(self, inner: Comparable, *, graph: TypedGraph, edge: int | None = None) -> None:
        self.name = inner.name
        self.graph = graph
        self._inner = inner
        self._edge = edge

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Integers of the visible nodes, with the fault in place."""
        given = dict(inputs)
        if self._edge is not None:
            name = next(node.name for node in self.graph.inputs if node.tensor.is_index)
            index = np.array(given[name])
            index[self._edge] = index[self._edge, ::-1]
            given[name] = index
        return self._inner.run_integers(given, nodes)


def mutations(graph: TypedGraph, vectors: Arrays, *, seed: int = 0) -> list[Mutation]:
    """One mutation of each kind that the network allows.

    Each is placed where the vectors exercise it: a weight whose flipped bit changes a rounded value, a rounding
    that meets a remainder, an accumulator one bit too narrow for what occurred, an edge between two nodes.

    Args:
        graph: The network.
        vectors: Inputs that the comparison will use.
        seed: Seed of the choice.

    Returns:
        The mutations.

    """
    generator = np.random.default_rng(seed)
    values = GoldenExecutor(graph).run_all(vectors)
    made = [
        _weight_bit(graph, values, generator),
        _rounding(graph, values),
        _accumulator(graph, values),
    ]
    if graph.is_graph_network:
        made.append(_edge(graph, vectors, generator))
    return made


def try_mutations(
    graph: TypedGraph,
    vectors: Arrays,
    *,
    make: Callable[[Mutation], Comparable] | None = None,
    seed: int = 0,
) -> list[MutationResult]:
    """Plant each mutation and see whether the comparison with the golden model catches it.

    Args:
        graph: The network.
        vectors: Inputs of the comparison.
        make: Builds the executor that runs a mutation; the golden one by default.
        seed: Seed of the choice of places.

    Returns:
        One result per mutation.

    """
    reference = GoldenExecutor(graph)
    results = []
    for mutation in mutations(graph, vectors, seed=seed):
        inner = make(mutation) if make else golden_mutant(mutation)
        mutant = MutatedExecutor(inner, graph=graph, edge=mutation.edge)
        rung = compare_executors(reference, [mutant], [vectors]).first_divergence
        results.append(
            MutationResult(
                kind=mutation.kind,
                what=mutation.what,
                executor=inner.name,
                caught=rung is not None,
                node=rung.node if rung else None,
            )
        )
    return results


def golden_mutant(mutation: Mutation) -> GoldenExecutor:
    """The golden executor with the fault in place."""
    return GoldenExecutor(mutation.graph, accumulator_widths=mutation.accumulator_widths)


def _weight_bit(graph: TypedGraph, values: Mapping[str, NDArray[np.int64]], generator: np.random.Generator) -> Mutation:
    places = []
    for node in graph.nodes:
        if isinstance(node, Dense):
            seen = values[graph.consumers(node.name)[0].name]
            live_units = np.flatnonzero(np.ptp(seen.reshape(-1, seen.shape[-1]), axis=0) > 0)
            live_inputs = np.flatnonzero(np.abs(values[node.inputs[0]]).sum(axis=0) > 0)
            places += [(node, unit, source) for unit in live_units for source in live_inputs]
    for place in generator.permutation(len(places)):
        node, unit, source = places[int(place)]
        bit = max(0, node.weight_format.width - 2)
        weight = np.array(node.weight)
        weight[unit, source] ^= 1 << bit
        if _is_seen(graph, values, node, unit, source, int(weight[unit, source] - node.weight[unit, source])):
            break
    else:
        raise GraphError(f"no weight of {graph.name} is exercised", remedy="give other vectors")
    wider = FixedPoint.covering(int(weight.min()), int(weight.max()), fraction=node.weight_format.fraction)
    mutated = rebuild(graph, replacements={node.name: replace(node, weight=weight, weight_format=wider)})
    what = f"bit {bit} of weight [{unit}, {source}] of {node.name}"
    return Mutation(kind="weight bit", what=what, graph=mutated, accumulator_widths={})


def _is_seen(
    graph: TypedGraph, values: Mapping[str, NDArray[np.int64]], node: Dense, unit: int, source: int, change: int
) -> bool:
    """Whether changing one weight by `change` changes what the next node makes of the sum."""
    inputs = graph[node.inputs[0]]
    products = node.weight_format.fraction + inputs.tensor.format.fraction
    fraction = node.tensor.format.fraction
    sums = values[node.name][:, unit]
    changed = sums + (values[inputs.name][:, source] * change << (fraction - products))
    following = graph.consumers(node.name)[0]
    if isinstance(following, Requantize):
        form = following.tensor.format
        sums, changed = (form.requantize(array, fraction=fraction) for array in (sums, changed))
    return not np.array_equal(sums, changed)


def _rounding(graph: TypedGraph, values: Mapping[str, NDArray[np.int64]]) -> Mutation:
    for node in graph.nodes:
        if not isinstance(node, Requantize):
            continue
        form = node.tensor.format
        other = replace(form, rounding="RND_CONV" if form.rounding == "TRN" else "TRN")
        source, fraction = values[node.inputs[0]], graph[node.inputs[0]].tensor.format.fraction
        if np.array_equal(form.requantize(source, fraction=fraction), other.requantize(source, fraction=fraction)):
            continue
        changed = replace(node, tensor=replace(node.tensor, format=other))
        what = f"{node.name} rounds by {other.rounding}"
        return Mutation(
            kind="rounding", what=what, graph=rebuild(graph, replacements={node.name: changed}), accumulator_widths={}
        )
    raise GraphError(f"no rounding of {graph.name} is exercised", remedy="give other vectors")


def _accumulator(graph: TypedGraph, values: Mapping[str, NDArray[np.int64]]) -> Mutation:
    best: tuple[int, str] | None = None
    for node in graph.nodes:
        if isinstance(node, Dense) and values[node.name].size:
            used = FixedPoint.covering(int(values[node.name].min()), int(values[node.name].max()), fraction=0)
            if best is None or used.width > best[0]:
                best = (used.width, node.name)
    if best is None or best[0] < 2:
        raise GraphError(f"no accumulator of {graph.name} is exercised", remedy="give other vectors")
    width, name = best[0] - 1, best[1]
    what = f"accumulator of {name} has {width} bits"
    return Mutation(kind="accumulator width", what=what, graph=graph, accumulator_widths={name: width})


def _edge(graph: TypedGraph, vectors: Arrays, generator: np.random.Generator) -> Mutation:
    index = np.asarray(vectors[next(node.name for node in graph.inputs if node.tensor.is_index)])
    real = np.flatnonzero(index[:, 0] != index[:, 1]) if index.size else np.array([], dtype=np.int64)
    if not real.size:
        raise GraphError(f"no edge of {graph.name} joins two nodes", remedy="give other vectors")
    edge = int(generator.choice(real))
    return Mutation(kind="edge", what=f"ends of edge {edge} swapped", graph=graph, accumulator_widths={}, edge=edge)
