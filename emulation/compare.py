"""The bit-accuracy comparison: every executor against the golden model, node by node, zero mismatches tolerated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..quantization import Requantize, TypedGraph
from .executor import Arrays

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
            raise AssertionError(f"{self.executor} gave shape {found.shape} for {self.node}, not {expected.shape}")
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


@dataclass(kw_only=True)
class Ladder:
    """Result of a comparison.

    Attributes:
        rungs: One per executor and visible node, in the order of computation.

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
    """Run the same vectors through every executor and compare every visible node.

    Args:
        reference: The golden executor.
        others: Executors of the same graph.
        batches: Inputs, one mapping per call; they are consumed one at a time.

    Returns:
        The ladder; an executor is right only where it was compared and has 0 mismatches.

    """
    nodes = reference.graph.visible
    rungs = {
        (other.name, node.name): Rung(
            network=reference.graph.name,
            node=node.name,
            executor=other.name,
            low=node.tensor.low,
            high=node.tensor.high,
        )
        for other in others
        for node in nodes
    }
    for number, inputs in enumerate(batches):
        expected = reference.run_integers(inputs)
        for other in others:
            found = other.run_integers(inputs)
            for node in nodes:
                rungs[other.name, node.name].add(
                    expected[node.name], found[node.name], batch=number, saturates=isinstance(node, Requantize)
                )
    return Ladder(rungs=list(rungs.values()))
