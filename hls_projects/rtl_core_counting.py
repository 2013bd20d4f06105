"""Sums of many terms for 6-input LUTs: six rows of bits become one in three additions instead of five.

The ones among five bits of a column number 0 to 5, three bits. An adder of an FPGA spends a LUT on each bit, to make
the exclusive or of the two bits that it adds; as one of them may be any function of five more, each bit of the count is
added without logic of its own. Signed and negated terms are added as unsigned bits, and a constant makes up for it; it
takes no LUT beside five bits or two, as six or three ones count to no more bits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from .rtl_core_netlist import Count, Form, Netlist, Piece, Term, Track, bits_of

FULL = 6  # bits of a column that three additions make one


def total(netlist: Netlist, terms: Sequence[Term]) -> Term:
    """Sum of terms.

    Args:
        netlist: Where to make it.
        terms: Summands, of which several may be numbers.

    Returns:
        The sum, 0 for no terms.
    """
    constant = sum(value for term in terms if (value := netlist.value(term)) is not None)
    variable = [term for term in terms if netlist.value(term) is None]
    if len(variable) <= 2:
        return _short(netlist, variable, constant)
    form = netlist.form([*variable, netlist.constant(constant)])
    if len(set(netlist.form_range(form))) == 1:
        return netlist.constant(netlist.form_range(form)[0])
    return _Heap(netlist, variable, form, constant).sum()


def _short(netlist: Netlist, variable: Sequence[Term], constant: int) -> Term:
    number = netlist.constant(constant)
    if not variable:
        return number
    first = netlist.add(variable[0], number)
    return netlist.add(first, variable[1]) if len(variable) == 2 else first


class Bit(NamedTuple):
    """One bit of a wire, in order of when it is made."""

    depth: int
    wire: int
    place: int
    inverted: bool


class _Heap:
    """Bits of one sum by column, reduced block by block; the last block knows the exact range."""

    def __init__(self, netlist: Netlist, terms: Sequence[Term], form: Form, constant: int) -> None:
        self._netlist = netlist
        self._form = form
        self._range = netlist.form_range(form)
        self._width = bits_of(*self._range)
        self._columns: dict[int, list[Bit]] = defaultdict(list)
        self._constant = constant
        for term in terms:
            self._enter(term)
        for column in self._columns.values():
            column.sort()

    def _enter(self, term: Term) -> None:
        """Add a term's bits, and take from the constant what they are worth beyond the term."""
        wire = self._netlist.wires[term.wire]
        top = wire.width - 1
        for place in range(wire.width):
            if place + term.shift < self._width:
                inverted = term.negative != (place == top and wire.low < 0)
                self._columns[place + term.shift].append(Bit(wire.depth, term.wire, place, inverted))
        signed = (1 << top) if wire.low < 0 else 0  # x = bits with the sign inverted - signed
        self._constant -= (((1 << wire.width) - 1 - signed) if term.negative else signed) << term.shift

    def sum(self) -> Term:
        """Reduce to at most six bits a column, then to one number: the last block is the one that is full."""
        while (height := max(map(len, self._columns.values()))) > FULL:
            target = FULL
            while target * FULL < height:
                target *= FULL
            for depth in sorted({bit.depth for column in self._columns.values() for bit in column}):
                self._reduce(target, depth)
        return self._last()

    def _reduce(self, target: int, depth: int) -> None:
        """Reduce columns higher than `target` as far as bits made by `depth` allow, and no further."""
        made: list[tuple[int, Term]] = []
        added = [0] * (self._width + FULL)  # bits that this round's sums will put into each column
        while counts := self._excess(target, depth, added):
            columns = range(min(counts), max(counts) + 1)
            term = self._inner({column: self._take(column, counts[column]) for column in columns})
            made.append((columns.start, term))
            for column in range(columns.start, columns.start + self._netlist.wires[term.wire].width):
                added[column] += 1
        for column, term in made:
            wire = self._netlist.wires[term.wire]
            for place in range(min(wire.width, self._width - column)):
                self._columns[column + place].append(Bit(wire.depth, term.wire, place, False))
                self._columns[column + place].sort()

    def _excess(self, target: int, depth: int, added: Sequence[int]) -> dict[int, int]:
        """The longest row of columns that are too high, and how many bits of each to make one."""
        best: dict[int, int] = {}
        run: dict[int, int] = {}
        for column in range(self._width + 1):
            bits = self._columns.get(column, []) if column < self._width else []
            ready = bisect_left(bits, (depth + 1,))  # bits are in order of depth
            excess = len(bits) + added[column] - target + bool(run)  # the carry of the columns below comes too
            if excess > 0 and ready > 1:
                run[column] = min(FULL, ready, excess + 1)
                continue
            best = max(best, run, key=len)
            run = {}
        return best

    def _inner(self, taken: dict[int, list[Bit]]) -> Term:
        first = min(taken)
        base, tracks = _tracks(taken, first=first)
        high = sum(len(bits) << (column - first) for column, bits in taken.items())
        return self._rows(base, tracks, 0, low=0, high=min(high, (1 << (self._width - first)) - 1))

    def _take(self, column: int, count: int) -> list[Bit]:
        bits = self._columns[column]
        self._columns[column] = bits[count:]
        return bits[:count]

    def _last(self) -> Term:
        base, tracks = _tracks(self._columns, first=0)
        low, high = self._range
        return self._rows(base, tracks, self._constant % (1 << self._width), low=low, high=high, form=self._form)

    def _rows(
        self, base: Track, tracks: tuple[Track, ...], constant: int, *, low: int, high: int, form: Form | None = None
    ) -> Term:
        """The steps of one block; what is between them is held modulo a power of two, the last is in `[low, high]`."""
        width = bits_of(low, high)
        reached = [columns & ((1 << width) - 1) for columns in _reached(tracks, constant)]
        rows = max(1, sum(columns != 0 for columns in reached))
        most = sum(((1 << piece.bits) - 1) << piece.column for piece in base)
        for row in range(rows - 1):
            step = Count(base, tracks, constant, row, rows)
            most = min((1 << width) - 1, most + (_counted(step, width) << row))
            made = self._netlist.count(step, low=0, high=most)
            base = (Piece(made.wire, 0, most.bit_length(), 0, False),)
        return self._netlist.count(Count(base, tracks, constant, rows - 1, rows), low=low, high=high, form=form)


def _tracks(columns: dict[int, list[Bit]], *, first: int) -> tuple[Track, tuple[Track, ...]]:
    """Bits of each column as a base and tracks, columns counted from `first`; no bit of the base is inverted if it can.

    An inverted bit costs nothing among those that are counted, but a LUT in the base.
    """
    rows: list[list[tuple[int, Bit]]] = []
    for column in sorted(columns):
        bits = sorted(columns[column], key=lambda bit: (bit.inverted, bit.depth, bit.wire))
        for place, bit in enumerate(bits):
            if place == len(rows):
                rows.append([])
            rows[place].append((column - first, bit))
    tracks = [_pieces(row) for row in rows]
    return tracks[0], tuple(tracks[1:])


def _pieces(row: Sequence[tuple[int, Bit]]) -> Track:
    pieces: list[Piece] = []
    for column, bit in row:
        last = pieces[-1] if pieces else None
        following = last is not None and (last.wire, last.inverted) == (bit.wire, bit.inverted)
        if last and following and (last.column + last.bits, last.start + last.bits) == (column, bit.place):
            pieces[-1] = last._replace(bits=last.bits + 1)
        else:
            pieces.append(Piece(bit.wire, bit.place, 1, column, bit.inverted))
    return tuple(pieces)


def first_column(operation: Count, width: int) -> int:
    """Lowest bit of a sum of `width` bits that a step changes; `width` if it changes none."""
    columns = _counted(operation, width)
    lowest = (columns & -columns).bit_length() - 1
    return min(width, lowest + operation.row) if columns else width


def _counted(operation: Count, width: int) -> int:
    """Columns below `width`, as bits, in which enough ones can come together for a step's bit of the count."""
    return _reached(operation.tracks, operation.constant)[operation.row] & ((1 << width) - 1)


def _reached(tracks: Sequence[Track], constant: int) -> tuple[int, int, int]:
    """Columns, as bits, in which one, two and four ones or more can come together: all columns are counted at once."""
    ones, twos, fours = constant, 0, 0
    some = constant
    for track in tracks:
        mask = sum(((1 << piece.bits) - 1) << piece.column for piece in track)
        some |= mask
        carry = ones & mask
        ones ^= mask
        fours |= twos & carry
        twos ^= carry
    return some, twos | fours, fours
