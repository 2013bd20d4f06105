"""Planted faults: the comparison must catch each of them in each executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ..emulation import Mutation, MutationResult, make_executor, try_mutations
from ..emulation.compare import Comparable
from ..emulation.mutations import golden_mutant
from ..quantization import TypedGraph
from .vectors import Arrays

Mutant = Literal["golden", "native", "csim"]


def mutate_network(
    graph: TypedGraph, batches: Sequence[Arrays], *, executors: Sequence[Mutant], seed: int
) -> list[MutationResult]:
    """Plant one fault of each kind in each executor.

    Native code has no accumulator widths of its own, so a narrowed accumulator is not planted there.

    Args:
        graph: The network.
        batches: Vectors; the largest batch is used.
        executors: Executors that get the faults.
        seed: Seed of the choice of places.

    Returns:
        One result per fault and executor.
    """
    vectors = max(batches, key=lambda batch: sum(array.size for array in batch.values()))
    makers: Mapping[Mutant, Callable[[Mutation], Comparable]] = {
        "golden": golden_mutant,
        "native": _native_mutant,
        "csim": _csim_mutant,
    }
    return [
        result
        for name in executors
        for result in try_mutations(graph, vectors, make=makers[name], seed=seed, executor=name)
    ]


def _native_mutant(mutation: Mutation) -> Comparable:
    return make_executor("native", mutation.graph)


def _csim_mutant(mutation: Mutation) -> Comparable:
    return make_executor("csim", mutation.graph, accumulator_widths=mutation.accumulator_widths or None)
