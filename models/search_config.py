"""Settings and results of the search for bit widths; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ..core import StrictModel
from .config import Bits

Count = Annotated[int, Field(ge=1)]


class SearchSettings(StrictModel):
    """How the search goes on.

    Attributes:
        minimum_bits: No layer gets fewer.
        changes: Changes made together at the end of a round.
        steps: Optimiser steps of a candidate.
        accepted_steps: Optimiser steps of what a round ends with.
        learning_rate: Peak learning rate (Adam, one half cosine).
        largest_loss: The search ends when the network has lost this much of the score it started with.
        rounds: Rounds at most.
    """

    minimum_bits: Annotated[int, Field(ge=2, le=16)] = 2
    changes: Count = 4
    steps: Count = 20
    accepted_steps: Count = 120
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    largest_loss: Annotated[float, Field(gt=0)] = 0.01
    rounds: Count = 40


class LayerBits(StrictModel):
    """Bit widths by module path.

    Attributes:
        weights: Weights of each layer.
        activations: Outputs of each requantization and ReLU.
    """

    weights: dict[str, Bits]
    activations: dict[str, Bits]

    def without(self, changes: tuple[str, ...]) -> LayerBits:
        """One bit less for each change, `weights:<path>` or `activations:<path>`."""
        bits = {"weights": dict(self.weights), "activations": dict(self.activations)}
        for change in changes:
            kind, _, path = change.partition(":")
            bits[kind][path] -= 1
        return LayerBits(weights=bits["weights"], activations=bits["activations"])

    def changes(self, minimum: int) -> list[str]:
        """The changes that leave every layer `minimum` bits, in the order of the network."""
        found = [f"weights:{path}" for path, bits in self.weights.items() if bits > minimum]
        return found + [f"activations:{path}" for path, bits in self.activations.items() if bits > minimum]


class Candidate(StrictModel):
    """A network that was tried.

    Attributes:
        round: Round, from 1; 0 is the network the search started from.
        changes: What it has one bit less of than its parent.
        accepted: It ended its round and is the parent of the next.
        bits: Bit widths.
        score: Figure on the validation data, as training compares epochs by it.
        ebops: Effective bit operations of one inference at the default maxima (docs/typed_graph.md).
        bops: Bit operations.
    """

    round: int
    changes: tuple[str, ...]
    accepted: bool
    bits: LayerBits
    score: float
    ebops: float
    bops: float


def pareto_front(candidates: Sequence[Candidate], *, higher_is_better: bool = True) -> list[Candidate]:
    """Candidates that no other beats in score and EBOPs, by growing EBOPs; of equals the first."""
    sign = 1 if higher_is_better else -1
    front: list[Candidate] = []
    for item in sorted(candidates, key=lambda item: (item.ebops, -sign * item.score)):
        if not front or sign * item.score > sign * front[-1].score:
            front.append(item)
    return front
