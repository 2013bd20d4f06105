"""Matrix products as sums that share parts: what a solver finds, how it is kept, and what it becomes in a netlist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import Field, model_validator

from ..core import StrictModel
from .rtl_core_counting import total
from .rtl_core_netlist import Netlist, Term
from .rtl_core_sums import scaled, signed_digits


class Summand(NamedTuple):
    """`value[source] << shift`, negated or not; values are the inputs, then the shared sums in order."""

    source: int
    shift: int
    negative: bool


class Product(StrictModel):
    """A matrix product as sums that share parts.

    Attributes:
        inputs: Length of the vector.
        shared: Sums that others read; each reads what stands before it.
        results: A sum for each row of the matrix, empty for 0.
    """

    inputs: int = Field(ge=1)
    shared: list[list[Summand]]
    results: list[list[Summand]]

    @model_validator(mode="after")
    def _in_order(self) -> Product:
        sums = [*enumerate(self.shared, start=self.inputs)]
        sums += [(self.inputs + len(self.shared), result) for result in self.results]
        for place, summands in sums:
            if any(not 0 <= summand.source < place or summand.shift < 0 for summand in summands):
                raise ValueError("a sum reads a value that is not before it, or half of one")
        return self

    def matrix(self) -> list[list[int]]:
        """The matrix, a row for each result."""
        rows: list[dict[int, int]] = [{place: 1} for place in range(self.inputs)]
        for summands in (*self.shared, *self.results):
            row: dict[int, int] = {}
            for source, shift, negative in summands:
                for column, factor in rows[source].items():
                    row[column] = row.get(column, 0) + ((-factor if negative else factor) << shift)
            rows.append(row)
        results = rows[self.inputs + len(self.shared) :]
        return [[row.get(column, 0) for column in range(self.inputs)] for row in results]

    def build(self, netlist: Netlist, sources: Sequence[Term], constants: Sequence[int]) -> list[Term]:
        """Make the sums in a netlist.

        Args:
            netlist: Where to make them.
            sources: The vector.
            constants: What is added to each row's result.

        Returns:
            A term for each row of the matrix.
        """
        values = list(sources)
        for summands in self.shared:
            values.append(_sum(netlist, values, summands, 0))
        return [
            _sum(netlist, values, summands, constant)
            for summands, constant in zip(self.results, constants, strict=True)
        ]


def plain_product(weight: Sequence[Sequence[int]]) -> Product:
    """The product with nothing shared: each weight in canonical signed digits."""
    results = [_summands(dict(enumerate(row))) for row in weight]
    return Product(inputs=len(weight[0]), shared=[], results=results)


def sharing_product(inputs: int, shared: Sequence[Mapping[int, int]], results: Sequence[Mapping[int, int]]) -> Product:
    """The product of sums given by whole factors of the values before them."""
    return Product(
        inputs=inputs, shared=[_summands(row) for row in shared], results=[_summands(row) for row in results]
    )


def _summands(factors: Mapping[int, int]) -> list[Summand]:
    return [
        Summand(source, shift, negative)
        for source, factor in factors.items()
        for shift, negative in signed_digits(factor)
    ]


def _sum(netlist: Netlist, values: Sequence[Term], summands: Sequence[Summand], constant: int) -> Term:
    terms = [scaled(values[source], shift, negative=negative) for source, shift, negative in summands]
    if constant == 0:  # what all terms have in common is wiring
        common = min((term.shift for term in terms if netlist.value(term) is None), default=0)
        rest = [scaled(term, -common) for term in terms if netlist.value(term) is None]
        constant = sum(value for term in terms if (value := netlist.value(term)) is not None)
        if constant == 0:
            return scaled(total(netlist, rest), common)
    return total(netlist, [*terms, netlist.constant(constant)])
