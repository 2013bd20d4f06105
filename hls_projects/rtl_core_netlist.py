"""Integer arithmetic of one row as a netlist: additions of shifted wires, roundings and saturations, all exact.

A wire holds an integer whose exact range is known; a `Term` is a wire times a signed power of two. Nothing here knows
of clocks: `rtl_core_schedule` puts the registers in, `rtl_core_verilog` writes the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Term(NamedTuple):
    """`wire << shift`, negated if `negative`."""

    wire: int
    shift: int = 0
    negative: bool = False


class InputBits(NamedTuple):
    """`bits` of the row from bit `offset` on."""

    offset: int
    bits: int


class Constant(NamedTuple):
    """A number."""

    value: int


class Sum(NamedTuple):
    """`low + (high << shift)`; minus where `subtract`; the difference the other way round where `reverse` too."""

    low: int
    high: int
    shift: int
    subtract: bool
    reverse: bool = False


class Round(NamedTuple):
    """`wire / 2**shift` rounded to minus infinity, or to nearest with ties to even."""

    wire: int
    shift: int
    to_even: bool


class Clip(NamedTuple):
    """`wire << shift` held within `[low, high]`."""

    wire: int
    shift: int
    low: int
    high: int


class Piece(NamedTuple):
    """Bits `start` to `start + bits - 1` of a wire as they are, or inverted, in columns from `column` on."""

    wire: int
    start: int
    bits: int
    column: int
    inverted: bool


Track = tuple[Piece, ...]  # pieces in columns of their own, the lowest first


class Count(NamedTuple):
    """`base` plus one bit of the count of ones in each column of `tracks` and `constant`, worth `2**row` there.

    All bits are unsigned. With rows 0, 1 and 2 one after another, up to five tracks and a constant are added to the
    base in three additions, each of which needs one 6-input LUT a bit: five inputs for the bit of the count, one for
    the base.
    """

    base: Track
    tracks: tuple[Track, ...]
    constant: int
    row: int
    rows: int


Operation = InputBits | Constant | Sum | Count | Round | Clip
Form = dict[int, int]  # factor of each wire that is no sum; CONSTANT's entry is the constant
CONSTANT = -1


@dataclass(frozen=True, kw_only=True)
class Wire:
    """One integer of the netlist.

    Attributes:
        operation: What makes it.
        low: Smallest value that occurs.
        high: Largest value that occurs.
        depth: Operations before it, the longest way.
    """

    operation: Operation
    low: int
    high: int
    depth: int

    @property
    def width(self) -> int:
        """Bits that hold every value, in two's complement if some are negative; at least 1."""
        return bits_of(self.low, self.high)


class Netlist:
    """Wires in the order of their making; equal operations are made once."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self._known: dict[Operation, int] = {}
        self._forms: dict[int, Form] = {}

    def input(self, *, offset: int, bits: int, low: int, high: int, depth: int = 0) -> Term:
        """Bits of the row that hold an integer of `[low, high]`, in two's complement if `low` is negative."""
        return Term(self._wire(InputBits(offset, min(bits, bits_of(low, high))), low, high, depth))

    def constant(self, value: int) -> Term:
        """A number."""
        return Term(self._wire(Constant(value), value, value, 0))

    def value(self, term: Term) -> int | None:
        """The only value of a term, or None where it has several."""
        wire = self.wires[term.wire]
        if wire.low != wire.high:
            return None
        return -(wire.low << term.shift) if term.negative else wire.low << term.shift

    def depth(self, term: Term) -> int:
        """Operations before a term."""
        return self.wires[term.wire].depth

    def range(self, term: Term) -> tuple[int, int]:
        """Smallest and largest value of a term."""
        wire = self.wires[term.wire]
        low, high = wire.low << term.shift, wire.high << term.shift
        return (-high, -low) if term.negative else (low, high)

    def add(self, left: Term, right: Term) -> Term:
        """Sum of two terms."""
        values = self.value(left), self.value(right)
        if values[0] is not None and values[1] is not None:
            return self.constant(values[0] + values[1])
        if values[0] == 0 or values[1] == 0:
            return right if values[0] == 0 else left
        if left.wire == right.wire and left.shift == right.shift:
            same = left.negative == right.negative
            return Term(left.wire, left.shift + 1, left.negative) if same else self.constant(0)
        low, high = (left, right) if left.shift <= right.shift else (right, left)
        operation = Sum(low.wire, high.wire, high.shift - low.shift, subtract=low.negative != high.negative)
        if self._is_known_swapped(operation):
            operation = operation._replace(low=high.wire, high=low.wire)
            low = high
        return self._sum(operation, shift=low.shift, negative=low.negative)

    def form(self, terms: Sequence[Term]) -> Form:
        """Factors of the wires that are no sums in a sum of terms."""
        form: Form = {}
        for term in terms:
            factor = (-1 if term.negative else 1) << term.shift
            for source, own in self._form(term.wire).items():
                form[source] = form.get(source, 0) + factor * own
        return form

    def form_range(self, form: Form) -> tuple[int, int]:
        """Smallest and largest value of a sum of factors times wires."""
        low = high = form.get(CONSTANT, 0)
        for source, factor in form.items():
            if source != CONSTANT:
                ends = factor * self.wires[source].low, factor * self.wires[source].high
                low, high = low + min(ends), high + max(ends)
        return low, high

    def count(self, operation: Count, *, low: int, high: int, form: Form | None = None) -> Term:
        """A step of an addition by counting, whose result modulo its width is known to be within `[low, high]`."""
        pieces = [*operation.base, *(piece for track in operation.tracks for piece in track)]
        depth = 1 + max((self.wires[piece.wire].depth for piece in pieces), default=0)
        known = len(self.wires)
        index = self._wire(operation, low, high, depth)
        if form is not None and index == known and low != high:
            self._forms[index] = form
        return Term(index)

    def positive(self, term: Term) -> Term:
        """The same value as a term that is not negated."""
        if not term.negative:
            return term
        operation = self.wires[term.wire].operation
        if isinstance(operation, Sum) and operation.subtract:
            return self._sum(operation._replace(reverse=not operation.reverse), shift=term.shift, negative=False)
        zero = self.constant(0).wire
        return self._sum(Sum(zero, term.wire, 0, subtract=True), shift=term.shift, negative=False)

    def round(self, term: Term, *, shift: int, to_even: bool) -> Term:
        """A term divided by `2**shift` and rounded; a negative shift multiplies."""
        term = self.positive(term)
        net = shift - term.shift
        if net <= 0:
            return Term(term.wire, -net)
        wire = self.wires[term.wire]
        low, high = (_rounded(end, net, to_even=to_even) for end in (wire.low, wire.high))
        depth = wire.depth + 1 if to_even else wire.depth
        return Term(self._wire(Round(term.wire, net, to_even), low, high, depth))

    def clip(self, term: Term, *, low: int, high: int) -> Term:
        """A term held within `[low, high]`."""
        term = self.positive(term)
        ends = self.range(term)
        if low <= ends[0] and ends[1] <= high:
            return term
        operation = Clip(term.wire, term.shift, low, high)
        ends = (min(max(ends[0], low), high), min(max(ends[1], low), high))
        return Term(self._wire(operation, *ends, self.depth(term) + 1))

    def _is_known_swapped(self, operation: Sum) -> bool:
        """Whether the same sum of equal powers of two is known with its wires the other way round."""
        swapped = operation._replace(low=operation.high, high=operation.low)
        return operation.shift == 0 and operation not in self._known and swapped in self._known

    def _sum(self, operation: Sum, *, shift: int, negative: bool) -> Term:
        known = self._known.get(operation)
        if known is not None:
            return Term(known, shift, negative)
        low_term = Term(operation.low, negative=operation.reverse)
        high_term = Term(operation.high, operation.shift, negative=operation.subtract != operation.reverse)
        form = self.form([low_term, high_term])
        low, high = self.form_range(form)
        depth = 1 + max(self.wires[operation.low].depth, self.wires[operation.high].depth)
        index = self._wire(operation, low, high, depth)
        if low != high:
            self._forms[index] = form
        return Term(index, shift, negative)

    def _form(self, wire: int) -> Form:
        operation = self.wires[wire].operation
        if isinstance(operation, Constant):
            return {CONSTANT: operation.value}
        return self._forms.get(wire, {wire: 1})

    def _wire(self, operation: Operation, low: int, high: int, depth: int) -> int:
        if low == high:
            operation, depth = Constant(low), 0
        index = self._known.get(operation)
        if index is None:
            index = self._known[operation] = len(self.wires)
            self.wires.append(Wire(operation=operation, low=low, high=high, depth=depth))
        return index


def bits_of(low: int, high: int) -> int:
    """Bits that hold every integer of a range, in two's complement if `low` is negative; at least 1."""
    if low >= 0:
        return max(1, high.bit_length())
    return 1 + max((-low - 1).bit_length(), high.bit_length() if high > 0 else 0)


def _rounded(value: int, shift: int, *, to_even: bool) -> int:
    floor = value >> shift
    if not to_even:
        return floor
    rest, half = value - (floor << shift), 1 << (shift - 1)
    return floor + (rest > half or (rest == half and floor & 1 == 1))
