"""Mutations: a comparison that cannot fail proves nothing, so faults are planted at every node and must be caught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..quantization import TypedGraph
from .compare import Comparable, compare_executors
from .executor import OUTPUTS_ONLY, Arrays
from .fault_kinds import possible_faults
from .faults import KINDS, Fault, InputFault, Vectors, built
from .golden import GoldenExecutor

__all__ = [
    "KINDS",
    "MutatedExecutor",
    "Mutation",
    "MutationPlan",
    "MutationResult",
    "choose_mutations",
    "golden_mutant",
    "plan_mutations",
    "try_mutation",
    "try_mutations",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Mutation:
    """One planted fault.

    Attributes:
        kind: One of `KINDS`.
        place: Node that computes something else.
        what: What was changed, in words.
        graph: The graph the mutated executor runs.
        accumulator_widths: Accumulators that wrap, by node.
        inputs: Change of the edge index on input, or None.
        batch: Number of the batch that shows the fault.
        executors: Executors that can have it, and show it on some batch.
        output_batch: Number of the batch on which it reaches an output, for executors that show outputs alone.

    """

    kind: str
    place: str
    what: str
    graph: TypedGraph
    accumulator_widths: Mapping[str, int] = field(default_factory=dict)
    inputs: InputFault | None = None
    batch: int = 0
    executors: tuple[str, ...] = ()
    output_batch: int | None = None

    def batch_for(self, executor: str) -> int:
        """Number of the batch on which an executor shows it."""
        if executor in OUTPUTS_ONLY:
            assert self.output_batch is not None  # otherwise it is not among its executors
            return self.output_batch
        return self.batch

    def is_built(self, original: TypedGraph) -> bool:
        """Whether it needs an executor of its own, rather than the sound one with other inputs."""
        return bool(self.accumulator_widths) or self.graph.digest != original.digest


@dataclass(frozen=True, kw_only=True)
class MutationPlan:
    """Faults to plant in a network.

    Attributes:
        mutations: The faults, in the order of the graph's nodes.
        unexercised: Kind and node of faults that no vector can show; they are not planted.

    """

    mutations: tuple[Mutation, ...]
    unexercised: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class MutationResult:
    """Whether the comparison caught a mutation.

    Attributes:
        kind: Kind of the mutation.
        what: What was changed.
        executor: Executor that ran the mutated network.
        caught: Whether a mismatch was counted.
        node: First diverging node.
        place: Node that was changed.

    """

    kind: str
    what: str
    executor: str
    caught: bool
    node: str | None
    place: str = ""


class MutatedExecutor:
    """An executor of the mutated network that stands in for the original one.

    Args:
        inner: Executor of the mutated graph.
        graph: The original graph.
        inputs: Change of the edge index on input, or None.

    """

    def __init__(self, inner: Comparable, *, graph: TypedGraph, inputs: InputFault | None = None) -> None:
        self.name = inner.name
        self.graph = graph
        self._inner = inner
        self._inputs = inputs

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Integers of the visible nodes, with the fault in place."""
        return self._inner.run_integers(self._inputs.apply(inputs) if self._inputs else inputs, nodes)


def plan_mutations(
    graph: TypedGraph, batches: Sequence[Arrays], *, seed: int = 0, outputs: bool = False
) -> MutationPlan:
    """Choose a place for each kind of fault at every node that can have it.

    A place is good if one of the batches shows it: the arithmetic of the golden model, applied to the nodes between
    the fault and the next visible ones, gives other integers there. Where no batch does, the fault is equivalent for
    these vectors: no comparison could see it, and it is not planted but named. Whether an executor really has the
    fault, and whether the comparison notices, is not looked at here; that is what trying it proves.

    Args:
        graph: The network.
        batches: Inputs that the comparison will use.
        seed: Seed of the choice of places.
        outputs: Whether to find out too which faults reach an output, for executors that show nothing else; without
            it these get no faults.

    Returns:
        The plan.

    """
    vectors, generator = Vectors(graph, batches), np.random.default_rng(seed)
    found: list[Mutation] = []
    unexercised: list[tuple[str, str]] = []
    for alternatives in possible_faults(graph, vectors, generator):
        mutation = next(
            (made for fault in alternatives if (made := _placed(fault, vectors, outputs=outputs)) is not None), None
        )
        if mutation is not None:
            found.append(mutation)
        elif alternatives:
            unexercised.append((alternatives[0].kind, alternatives[0].node))
    return MutationPlan(mutations=tuple(found), unexercised=tuple(dict.fromkeys(unexercised)))


def _placed(fault: Fault, vectors: Vectors, *, outputs: bool) -> Mutation | None:
    batch = vectors.shows(fault)
    if batch is None or (graph := built(fault, vectors.graph)) is None:
        return None
    output_batch = vectors.shows(fault, outputs_only=True) if outputs else None
    blind = OUTPUTS_ONLY if output_batch is None else frozenset()
    return Mutation(
        kind=fault.kind,
        place=fault.node,
        what=fault.what,
        graph=graph,
        accumulator_widths=fault.accumulator_widths,
        inputs=fault.inputs,
        batch=batch,
        executors=tuple(name for name in fault.executors if name not in blind),
        output_batch=output_batch,
    )


def choose_mutations(
    mutations: Sequence[Mutation], executor: str, *, per_kind: int | None = None, seed: int = 0
) -> list[Mutation]:
    """Mutations for one executor: all it can have, or so many of each kind, spread over the nodes.

    Args:
        mutations: The plan's.
        executor: Name of the executor.
        per_kind: Most mutations of one kind; None takes all.
        seed: Seed of the choice.

    Returns:
        The mutations, in the order given.

    """
    possible = [mutation for mutation in mutations if executor in mutation.executors]
    if per_kind is None:
        return possible
    generator = np.random.default_rng(seed)
    chosen: list[Mutation] = []
    for kind in KINDS:
        of_kind = [mutation for mutation in possible if mutation.kind == kind]
        order = [of_kind[int(number)] for number in generator.permutation(len(of_kind))]
        for _ in range(min(per_kind, len(order))):
            places = [mutation.place for mutation in chosen]
            best = min(order, key=lambda mutation: places.count(mutation.place))  # the first of the least used nodes
            order.remove(best)
            chosen.append(best)
    return [mutation for mutation in possible if mutation in chosen]


def try_mutation(mutation: Mutation, *, reference: Comparable, mutant: Comparable, vectors: Arrays) -> MutationResult:
    """See whether the comparison with the sound network catches a mutation.

    Args:
        mutation: The mutation.
        reference: Executor of the sound network.
        mutant: Executor that runs the mutation's graph.
        vectors: The batch that shows the fault.

    Returns:
        The outcome.

    """
    faulty = MutatedExecutor(mutant, graph=reference.graph, inputs=mutation.inputs)
    rung = compare_executors(reference, [faulty], [vectors]).first_divergence
    return MutationResult(
        kind=mutation.kind,
        what=mutation.what,
        executor=mutant.name,
        caught=rung is not None,
        node=rung.node if rung else None,
        place=mutation.place,
    )


def try_mutations(
    graph: TypedGraph,
    vectors: Arrays,
    *,
    make: Callable[[Mutation], Comparable] | None = None,
    seed: int = 0,
    executor: str = "golden",
    per_kind: int | None = 1,
) -> list[MutationResult]:
    """Plant mutations and see whether the comparison with the golden model catches each.

    Args:
        graph: The network.
        vectors: One batch of inputs.
        make: Builds the executor that runs a mutation; the golden one by default.
        seed: Seed of the choice of places.
        executor: Which executor `make` builds: it gets the mutations that it can have.
        per_kind: Most mutations of one kind; None plants every one.

    Returns:
        One result per mutation.

    """
    reference = GoldenExecutor(graph)
    plan = plan_mutations(graph, [vectors], seed=seed, outputs=executor in OUTPUTS_ONLY)
    return [
        try_mutation(mutation, reference=reference, mutant=(make or golden_mutant)(mutation), vectors=vectors)
        for mutation in choose_mutations(plan.mutations, executor, per_kind=per_kind, seed=seed)
    ]


def golden_mutant(mutation: Mutation) -> GoldenExecutor:
    """The golden executor with the fault in place."""
    return GoldenExecutor(mutation.graph, accumulator_widths=mutation.accumulator_widths)
