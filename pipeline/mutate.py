"""Planted faults: the comparison must catch each of them in each executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from ..core import progress
from ..core.spread import Workers
from ..emulation import MutationResult
from ..emulation.executor import OUTPUTS_ONLY
from ..emulation.mutations import choose_mutations
from .bench import Arrays, Bench, PlanMutations, TryMutation
from .parts import Parts
from .run_key import vectors_digest

Mutant = Literal["golden", "native", "numpy", "csim", "rtl"]
SLOWEST_FIRST: tuple[str, ...] = ("rtl", "csim", "native", "numpy", "golden")


@dataclass(kw_only=True)
class Faults:
    """What became of planted faults.

    Attributes:
        results: By network, in the order of the graph's nodes.
        unexercised: Kind and node of the faults that no vector can show, by network.
        resumed: Results taken from an interrupted run.
    """

    results: dict[str, list[MutationResult]] = field(default_factory=dict)
    unexercised: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    resumed: int = 0


def mutate_networks(
    vectors: Mapping[str, Sequence[Arrays]],
    workers: Workers[Bench],
    parts: Parts,
    *,
    executors: Sequence[Mutant],
    per_kind: int,
    seed: int,
) -> Faults:
    """Plant faults in each executor of each network.

    The golden executor gets every fault at every node; one that has to be compiled for each fault gets `per_kind` of
    each kind, spread over the nodes.

    Args:
        vectors: Batches by network, the same that were compared.
        workers: Who does it.
        parts: Finished results, taken and added.
        executors: Executors that get the faults.
        per_kind: Faults of one kind in a compiled executor.
        seed: Seed of the choice.

    Returns:
        The outcome.
    """
    faults = Faults()
    tasks: dict[str, list[TryMutation]] = {}
    outputs = bool(OUTPUTS_ONLY & set(executors))
    plans = [PlanMutations(network=name, batches=batches, outputs=outputs) for name, batches in vectors.items()]
    for plan, found in workers.run(plans):
        faults.unexercised[plan.network] = found.unexercised
        tasks[plan.network] = [
            TryMutation(
                network=plan.network,
                executor=executor,
                mutation=mutation,
                inputs=plan.batches[mutation.batch_for(executor)],
            )
            for executor in executors
            for mutation in choose_mutations(
                found.mutations, executor, per_kind=None if executor == "golden" else per_kind, seed=seed
            )
        ]
    ordered = [task for name in vectors for task in tasks[name]]
    results = {item: MutationResult(**parts.found[item]) for task in ordered if (item := _item(task)) in parts.found}
    faults.resumed = len(results)
    left = [task for task in ordered if _item(task) not in results]
    left.sort(key=lambda task: SLOWEST_FIRST.index(task.executor))
    for task, result in progress(workers.run(left), description="plant faults", total=len(left)):
        parts.add(_item(task), asdict(result))
        results[_item(task)] = result
    faults.results = {name: [results[_item(task)] for task in tasks[name]] for name in vectors}
    faults.unexercised = {name: faults.unexercised[name] for name in vectors}
    return faults


def _item(task: TryMutation) -> str:
    mutation = task.mutation
    return (
        f"{task.network}/{task.executor}/{mutation.kind}/{mutation.place}/{mutation.what}/{vectors_digest(task.inputs)}"
    )
