"""Matrix products as shifts and additions, each weight in canonical signed digits: no solver, hence the fallback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .rtl_core_netlist import Netlist, Term


def signed_digits(number: int) -> Iterator[tuple[int, bool]]:
    """Powers of two, no two of them adjacent, whose signed sum is `number`: exponent and whether it is subtracted."""
    power = 0
    while number:
        if number & 1:
            negative = number & 3 == 3
            yield power, negative
            number += 1 if negative else -1
        number >>= 1
        power += 1


def scaled(term: Term, shift: int, *, negative: bool = False) -> Term:
    """A term times a power of two, negated on request."""
    return Term(term.wire, term.shift + shift, term.negative != negative)


def shift_add_sums(netlist: Netlist, sources: Sequence[Term], weight: Sequence[Sequence[int]]) -> list[list[Term]]:
    """Summands of each row of a matrix product.

    Args:
        netlist: Where the terms live; nothing is added to it here.
        sources: The vector.
        weight: The matrix, a row for each result.

    Returns:
        For each row, terms whose sum is the result.
    """
    return [
        [
            scaled(source, power, negative=negative)
            for source, factor in zip(sources, row, strict=True)
            if netlist.value(source) != 0
            for power, negative in signed_digits(factor)
        ]
        for row in weight
    ]
