"""The bit-accuracy comparison: every executor against a reference, node by node, zero mismatches tolerated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..core import GraphError
from ..quantization import Requantize, TypedGraph
from .executor import Arrays, shown_nodes

Integers = NDArray[np.int64]


class Comparable(Protocol):
    """Anything that yields integers of visible nodes: an executor, or the Brevitas model itself."""

    name: str
    graph: TypedGraph

    def run_integers(self, inputs: Arrays, nodes: Sequence[str] | None = None) -> dict[str, Integers]:
        """Integers of visible nodes."""
        ...


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """Where two executors first differ.

    Attributes:
        batch: Number of the batch of vectors.
        index: Index of the element in the node's tensor.
        expected: Integer of the reference.
        found: Integer of the other executor.

    """

    batch: int
    index: tuple[int, ...]
    expected: int
    found: int


@dataclass(kw_only=True)
class Rung:
    """One node of one executor on the bit-accuracy ladder.

    Attributes:
        network: Name of the network.
        node: Visible node.
        executor: Executor compared with the reference.
        compared: Integers compared.
        mismatches: Integers that differ.
        first: First difference, if any.
        low: Smallest integer of the node's format that its proven range allows.
        high: Largest one.
        reached_low: Smallest integer the vectors reached.
        reached_high: Largest one.
        saturated: Integers at either bound of a requantization.

    """

    network: str
    node: str
    executor: str
    low: int
    high: int
    compared: int = 0
    mismatches: int = 0
    first: Divergence | None = None
    reached_low: int | None = None
    reached_high: int | None = None
    saturated: int = 0

    def add(self, expected: Integers, found: Integers, *, batch: int, saturates: bool) -> None:
        """Compare one batch of this node's integers."""
        if found.shape != expected.shape:
            raise GraphError(
                f"{self.executor} gave shape {found.shape} for node {self.node} of {self.network},"
                f" the reference {expected.shape}",
                remedy="report this network as a defect of hitfabric",
            )
        self.compared += expected.size
        if expected.size:
            self.reached_low = int(min(expected.min(), self.reached_low if self.reached_low is not None else self.high))
            self.reached_high = int(
                max(expected.max(), self.reached_high if self.reached_high is not None else self.low)
            )
        if saturates:
            self.saturated += int(np.count_nonzero((expected == self.low) | (expected == self.high)))
        different = expected != found
        count = int(np.count_nonzero(different))
        if count and self.first is None:
            index = tuple(int(axis) for axis in np.argwhere(different)[0])
            self.first = Divergence(batch=batch, index=index, expected=int(expected[index]), found=int(found[index]))
        self.mismatches += count

    def merge(self, other: Rung) -> None:
        """Add the counts of further batches of the same network, node and executor; any order gives the same sums."""
        self.compared += other.compared
        self.mismatches += other.mismatches
        self.saturated += other.saturated
        firsts = [first for first in (self.first, other.first) if first is not None]
        self.first = min(firsts, key=lambda first: first.batch, default=None)
        lows = [low for low in (self.reached_low, other.reached_low) if low is not None]
        highs = [high for high in (self.reached_high, other.reached_high) if high is not None]
        self.reached_low, self.reached_high = min(lows, default=None), max(highs, default=None)


@dataclass(kw_only=True)
class Ladder:
    """Result of a comparison.

    Attributes:
        rungs: One per executor and node that it shows, in the order of computation.

    """

    rungs: list[Rung] = field(default_factory=list)

    @property
    def mismatches(self) -> dict[str, dict[str, int]]:
        """Differing integers by network and executor."""
        totals: dict[str, dict[str, int]] = {}
        for rung in self.rungs:
            executors = totals.setdefault(rung.network, {})
            executors[rung.executor] = executors.get(rung.executor, 0) + rung.mismatches
        return totals

    @property
    def compared(self) -> int:
        """Integers compared in all."""
        return sum(rung.compared for rung in self.rungs)

    @property
    def first_divergence(self) -> Rung | None:
        """The first rung, in the order of computation, on which an executor differs."""
        return next((rung for rung in self.rungs if rung.mismatches), None)


def compare_executors(reference: Comparable, others: Sequence[Comparable], batches: Iterable[Arrays]) -> Ladder:
    """Run the same vectors through every executor and compare every node that it shows.

    Args:
        reference: What the others have to equal; the golden executor as a rule.
        others: Executors of the same graph.
        batches: Inputs, one mapping per call; they are consumed one at a time.

    Returns:
        The ladder; an executor is right only where it was compared and has 0 mismatches.

    """
    network = reference.graph.name
    rungs = new_rungs(reference.graph, [other.name for other in others], network=network)
    for number, inputs in enumerate(batches):
        expected = reference.run_integers(inputs)
        for other in others:
            found = other.run_integers(inputs)
            compare_values(rungs, reference.graph, other.name, expected=expected, found=found, batch=number)
    return Ladder(rungs=list(rungs.values()))


Rungs = dict[tuple[str, str], Rung]
"""Rungs of one network by executor and node."""


def new_rungs(graph: TypedGraph, executors: Iterable[str], *, network: str) -> Rungs:
    """Empty rungs of a network, one per executor and node that it shows."""
    return {
        (executor, node.name): Rung(
            network=network, node=node.name, executor=executor, low=node.tensor.low, high=node.tensor.high
        )
        for executor in executors
        for node in shown_nodes(graph, executor)
    }


def compare_values(
    rungs: Rungs,
    graph: TypedGraph,
    executor: str,
    *,
    expected: Mapping[str, Integers],
    found: Mapping[str, Integers],
    batch: int,
) -> None:
    """Count what one executor gave for one batch into its rungs.

    Args:
        rungs: Rungs of the network.
        graph: The network.
        executor: Whose values `found` are.
        expected: Integers of the reference by visible node.
        found: Integers of the executor by node that it shows.
        batch: Number of the batch.

    Raises:
        GraphError: A shape differs.

    """
    for node in shown_nodes(graph, executor):
        rungs[executor, node.name].add(
            expected[node.name], found[node.name], batch=batch, saturates=isinstance(node, Requantize)
        )
