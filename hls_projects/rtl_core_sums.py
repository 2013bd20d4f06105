"""Numbers as sums of signed powers of two."""

from __future__ import annotations

from collections.abc import Iterator

from .rtl_core_netlist import Term


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
