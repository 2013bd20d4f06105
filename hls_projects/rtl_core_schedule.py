"""Puts a netlist's operations into pipeline stages: when each wire is made, and how many of its bits are needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .rtl_core_counting import first_column
from .rtl_core_netlist import Clip, Constant, Count, InputBits, Netlist, Piece, Round, Sum, Term, Wire


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Stages and widths of a netlist.

    Attributes:
        stages: Stage in which each wire is made; registers stand between stages.
        widths: Bits of each wire that something needs; 0 for a wire that nothing reads.
        latency: Number of stages; the last one's results are registered too.
        last_use: Last stage that reads each wire (`latency` for an output).
    """

    stages: tuple[int, ...]
    widths: tuple[int, ...]
    latency: int
    last_use: tuple[int, ...]

    @property
    def register_bits(self) -> int:
        """Flip-flops of all stages, delay lines bit by bit."""
        uses = zip(self.widths, self.stages, self.last_use, strict=True)
        return sum(width * max(0, last - made) for width, made, last in uses)


def schedule(netlist: Netlist, outputs: Sequence[Term], *, spacing: float) -> Schedule:
    """Put registers after every `spacing` levels of logic at most.

    Args:
        netlist: The operations.
        outputs: Terms that leave, all after the same number of cycles.
        spacing: Operations one after another between registers; each takes one level, and at least one is done.

    Returns:
        The schedule.
    """
    widths = needed_widths(netlist, outputs)
    stages = _stages(netlist, widths, max(1, math.floor(spacing)))
    latency = 1 + max((stages[term.wire] for term in outputs), default=0)
    last = list(stages)
    for index, wire in enumerate(netlist.wires):
        for source in operands(wire) if widths[index] else ():
            last[source] = max(last[source], stages[index])
    for term in outputs:
        last[term.wire] = latency
    for index, wire in enumerate(netlist.wires):
        if isinstance(wire.operation, Constant):
            last[index] = stages[index]  # a number needs no register
    return Schedule(stages=tuple(stages), widths=tuple(widths), latency=latency, last_use=tuple(last))


def operands(wire: Wire) -> tuple[int, ...]:
    """Wires that a wire is made of."""
    operation = wire.operation
    if isinstance(operation, Sum):
        return operation.low, operation.high
    if isinstance(operation, Count):
        return tuple(piece.wire for piece in pieces_of(operation))
    if isinstance(operation, Round | Clip):
        return (operation.wire,)
    return ()


def pieces_of(operation: Count) -> list[Piece]:
    """Bits that a step of an addition by counting reads."""
    return [*operation.base, *(piece for track in operation.tracks for piece in track)]


def is_wiring(wire: Wire, wires: Sequence[Wire]) -> bool:
    """Whether a wire costs no logic: bits chosen or put beside each other."""
    operation = wire.operation
    if isinstance(operation, InputBits | Constant):
        return True
    if isinstance(operation, Round):
        return not operation.to_even
    if isinstance(operation, Sum):
        low = wires[operation.low]
        return not operation.subtract and low.low >= 0 and low.width <= operation.shift
    if isinstance(operation, Count):
        return first_column(operation, wire.width) == wire.width
    return False


def needed_widths(netlist: Netlist, outputs: Sequence[Term]) -> list[int]:
    """Bits of each wire that are read: a sum modulo a power of two needs no more of its parts."""
    wires = netlist.wires
    needed = [0] * len(wires)
    for term in outputs:
        needed[term.wire] = wires[term.wire].width
    for index in reversed(range(len(wires))):
        width, operation = needed[index], wires[index].operation
        if not width:
            continue
        if isinstance(operation, Sum):
            for source, bits in ((operation.low, width), (operation.high, width - operation.shift)):
                needed[source] = max(needed[source], min(bits, wires[source].width))
        elif isinstance(operation, Count):
            for piece in pieces_of(operation):
                bits = piece.start + max(0, min(piece.bits, width - piece.column))
                needed[piece.wire] = max(needed[piece.wire], bits if bits > piece.start else 0)
        elif isinstance(operation, Round | Clip):
            needed[operation.wire] = wires[operation.wire].width
    return needed


def _stages(netlist: Netlist, widths: Sequence[int], levels: int) -> list[int]:
    ready = [0] * len(netlist.wires)  # levels of logic from the row to the wire
    for index, wire in enumerate(netlist.wires):
        if not widths[index]:
            continue
        start = max((ready[source] for source in operands(wire)), default=0)
        operation = wire.operation
        if isinstance(operation, Count) and operation.row == 0 and start % levels + operation.rows > levels:
            start = -(-start // levels) * levels  # its rows share their inputs, which registers between would double
        ready[index] = start + (not is_wiring(wire, netlist.wires))
    return [max(0, level - 1) // levels for level in ready]
