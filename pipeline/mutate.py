"""Planted faults: the comparison must catch each of them in each executor."""

from __future__ import annotations

from collections.abc import Sequence

from ..emulation import Mutation, MutationResult, make_executor, try_mutations
from ..emulation.compare import Comparable
from ..emulation.mutations import golden_mutant
from ..quantization import TypedGraph
from .vectors import Arrays


def mutate_network(graph: TypedGraph, batches: Sequence[Arrays], *, seed: int) -> list[MutationResult]:
    """Plant one fault of each kind, in the golden and in the native executor.

    A narrowed accumulator is planted in the golden executor alone: generated code has no accumulator widths of its own.

    Args:
        graph: The network.
        batches: Vectors; the largest batch is used.
        seed: Seed of the choice of places.

    Returns:
        One result per fault and executor.
    """
    vectors = max(batches, key=lambda batch: sum(array.size for array in batch.values()))

    def native(mutation: Mutation) -> Comparable:
        return golden_mutant(mutation) if mutation.accumulator_widths else make_executor("native", mutation.graph)

    results = try_mutations(graph, vectors, seed=seed)
    return results + [
        item for item in try_mutations(graph, vectors, make=native, seed=seed) if item.executor == "native"
    ]
