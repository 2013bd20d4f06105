"""Matrix products as a list of additions: what a solver finds, how it is kept, and what it becomes in a netlist."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field, model_validator

from ..core import StrictModel
from .rtl_core_netlist import Netlist, Term
from .rtl_core_sums import scaled

ZERO = -1


class Addition(StrictModel):
    """`value[left] + value[right] * 2**shift`, or minus; values are the inputs, then the additions in order."""

    left: int = Field(ge=0)
    right: int = Field(ge=0)
    shift: int
    subtract: bool


class Result(StrictModel):
    """`value[source] * 2**shift`, negated or not; 0 where the source is -1."""

    source: int = Field(ge=ZERO)
    shift: int
    negative: bool


class AdditionList(StrictModel):
    """A matrix product as shared additions.

    Attributes:
        inputs: Length of the vector.
        additions: Additions; each reads what stands before it.
        results: One for each row of the matrix.
    """

    inputs: int = Field(ge=1)
    additions: list[Addition]
    results: list[Result]

    @model_validator(mode="after")
    def _in_order(self) -> AdditionList:
        for place, addition in enumerate(self.additions, start=self.inputs):
            if max(addition.left, addition.right) >= place:
                raise ValueError(f"addition {place - self.inputs} reads a value after it")
        if any(result.source >= self.inputs + len(self.additions) for result in self.results):
            raise ValueError("a result reads a value that is not there")
        return self

    def product_is(self, weight: Sequence[Sequence[int]]) -> bool:
        """Whether this is the product with exactly this matrix, in integers of any size."""
        scale = sum(abs(addition.shift) for addition in self.additions)  # no shift to the right loses a bit
        scale += sum(abs(result.shift) for result in self.results)
        rows = [np.array([0] * self.inputs, dtype=object) for _ in range(self.inputs)]
        for place, row in enumerate(rows):
            row[place] = 1 << scale
        for addition in self.additions:
            right = rows[addition.right]
            right = right << addition.shift if addition.shift >= 0 else right >> -addition.shift
            rows.append(rows[addition.left] - right if addition.subtract else rows[addition.left] + right)
        return len(self.results) == len(weight) and all(
            self._row(rows, result) == [factor << scale for factor in row]
            for result, row in zip(self.results, weight, strict=True)
        )

    def _row(self, rows: Sequence[np.ndarray], result: Result) -> list[int]:
        if result.source == ZERO:
            return [0] * self.inputs
        row = rows[result.source]
        row = row << result.shift if result.shift >= 0 else row >> -result.shift
        return (-row if result.negative else row).tolist()

    def build(self, netlist: Netlist, sources: Sequence[Term]) -> list[Term]:
        """Make the additions in a netlist.

        Args:
            netlist: Where to make them.
            sources: The vector.

        Returns:
            A term for each row of the matrix.
        """
        values = list(sources)
        for addition in self.additions:
            right = scaled(values[addition.right], addition.shift, negative=addition.subtract)
            values.append(netlist.add(values[addition.left], right))
        zero = netlist.constant(0)
        return [
            zero if result.source == ZERO else scaled(values[result.source], result.shift, negative=result.negative)
            for result in self.results
        ]
