"""Sums of many terms for 6-input LUTs: six operands become one in three additions instead of five.

The ones among five bits of a column number 0 to 5, three bits. An adder of an FPGA spends a LUT on each bit, to make
the exclusive or of the two bits that it adds; as one of them may be any function of five more, each bit of the count is
added without logic of its own. Negated and signed terms are added as unsigned bits and a constant that makes up for it;
a constant takes no LUT beside two or five tracks, as the count of up to seven ones has three bits too.
"""

from __future__ import annotations

from collections.abc import Sequence

from .rtl_core_netlist import Count, Form, Netlist, Term, Track, Wire, bits_of

BLOCK = 6  # tracks of one block, the base among them


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
    offset = constant + sum(_offset(netlist, term) for term in variable)
    return _Heap(netlist, variable, form, offset).sum()


def _short(netlist: Netlist, variable: Sequence[Term], constant: int) -> Term:
    number = netlist.constant(constant)
    if not variable:
        return number
    first = netlist.add(variable[0], number)
    return netlist.add(first, variable[1]) if len(variable) == 2 else first


def _offset(netlist: Netlist, term: Term) -> int:
    """What a term is worth beyond its unsigned bits."""
    wire = netlist.wires[term.wire]
    ones = (1 << wire.width) - 1
    top = (1 << (wire.width - 1)) if wire.low < 0 else 0  # x = bits - top
    return -(ones - top if term.negative else top) << term.shift


def _largest(netlist: Netlist, term: Term) -> int:
    """Largest value of a term's unsigned bits."""
    return netlist.range(term)[1] - _offset(netlist, term)


class _Heap:
    """Terms of one sum, reduced round by round; the last round knows the exact range."""

    def __init__(self, netlist: Netlist, terms: Sequence[Term], form: Form, offset: int) -> None:
        self._netlist = netlist
        self._terms = list(terms)
        self._form = form
        self._range = netlist.form_range(form)
        self._offset = offset

    def sum(self) -> Term:
        if self._range[0] == self._range[1]:
            return self._netlist.constant(self._range[0])
        while True:
            tracks, waiting = self._ready()
            blocks = [tracks[i : i + BLOCK] for i in range(0, len(tracks), BLOCK)]
            if len(blocks) == 1 and not waiting:
                return self._last(blocks[0])
            if len(blocks[-1]) == 1:  # nothing to add it to yet
                waiting += blocks.pop()[0]
            self._terms = waiting + [self._inner(block) for block in blocks]

    def _ready(self) -> tuple[list[Track], list[Term]]:
        """Terms made first, as tracks, and those that come later."""
        depths = sorted(self._netlist.depth(term) for term in self._terms)
        depth = depths[min(len(depths) - 1, 2)]  # one or two wait for a third
        ready = [term for term in self._terms if self._netlist.depth(term) <= depth]
        tracks = self._tracks(ready)
        if len(tracks) == 1:  # side by side: nothing to add among themselves
            return self._tracks(self._terms), []
        return tracks, [term for term in self._terms if self._netlist.depth(term) > depth]

    def _tracks(self, terms: Sequence[Term]) -> list[Track]:
        """Terms beside each other on as few tracks as their columns allow, similar tracks together."""
        tracks: list[list[Term]] = []
        for term in sorted(terms, key=lambda term: (term.shift, self._top(term), term.wire)):
            free = [track for track in tracks if self._top(track[-1]) <= term.shift]
            if free:
                max(free, key=lambda track: self._top(track[-1])).append(term)
            else:
                tracks.append([term])
        return sorted((tuple(track) for track in tracks), key=lambda track: (self._top(track[-1]), track[0].shift))

    def _top(self, term: Term) -> int:
        return term.shift + self._netlist.wires[term.wire].width

    def _inner(self, block: Sequence[Track]) -> Term:
        base, tracks = self._with_base(block)
        high = sum(self._bounds(block))
        return self._rows(base, tracks, 0, low=0, high=high, modulus=1 << high.bit_length())

    def _last(self, block: Sequence[Track]) -> Term:
        base, tracks = self._with_base(block)
        low, high = self._range
        modulus = 1 << bits_of(low, high)
        return self._rows(base, tracks, self._offset % modulus, low=low, high=high, modulus=modulus, form=self._form)

    def _rows(
        self,
        base: Track,
        tracks: tuple[Track, ...],
        constant: int,
        *,
        low: int,
        high: int,
        modulus: int,
        form: Form | None = None,
    ) -> Term:
        """The steps of one block; what is between them is held modulo `modulus`, the last is within `[low, high]`."""
        rows = (len(tracks) + (constant != 0)).bit_length()
        most = sum(self._bounds([base]))
        for row in range(rows - 1):
            step = Count(base, tracks, constant, row, rows)
            most += counted_bits(self._netlist.wires, step, modulus.bit_length()) << row
            base = (self._netlist.count(step, low=0, high=min(most, modulus - 1)),)
        return self._netlist.count(Count(base, tracks, constant, rows - 1, rows), low=low, high=high, form=form)

    def _bounds(self, tracks: Sequence[Track]) -> list[int]:
        """Largest value of each track's unsigned bits."""
        return [sum(_largest(self._netlist, term) for term in track) for track in tracks]

    def _with_base(self, block: Sequence[Track]) -> tuple[Track, tuple[Track, ...]]:
        """The track that the others are added to: one without inverted bits, low, and wide."""

        def badness(track: Track) -> tuple[bool, int, int]:
            inverted = any(term.negative for term in track)
            return inverted, track[0].shift, -sum(self._top(term) - term.shift for term in track)

        base = min(block, key=badness)
        rest = list(block)
        rest.remove(base)
        return base, tuple(rest)


def first_column(wires: Sequence[Wire], operation: Count, width: int) -> int:
    """Lowest bit of a sum of `width` bits that a step changes; `width` if it changes none."""
    columns = counted_bits(wires, operation, width)
    lowest = (columns & -columns).bit_length() - 1
    return min(width, lowest + operation.row) if columns else width


def counted_bits(wires: Sequence[Wire], operation: Count, width: int) -> int:
    """Columns below `width`, as bits, in which enough ones can come together for a step's bit of the count."""
    heights = [operation.constant >> column & 1 for column in range(width)]
    for term in (term for track in operation.tracks for term in track):
        for column in range(term.shift, min(width, term.shift + wires[term.wire].width)):
            heights[column] += 1
    return sum(1 << column for column, height in enumerate(heights) if height >> operation.row)
