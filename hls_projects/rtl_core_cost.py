"""6-input LUTs of a netlist, from the bits of its adders and selectors."""

from __future__ import annotations

from collections.abc import Sequence

from .rtl_core_counting import first_column
from .rtl_core_netlist import Clip, Count, Netlist, Round, Sum, Term, Wire
from .rtl_core_schedule import is_wiring, needed_widths


def lut_estimate(netlist: Netlist, outputs: Sequence[Term]) -> int:
    """LUTs of everything that the outputs need.

    An adder takes a LUT for each bit from the lowest where two operands meet; a selector one for each bit and one for
    each five bits that it looks at.
    """
    widths = needed_widths(netlist, outputs)
    wires = netlist.wires
    return sum(_luts(wires, wire, width) for wire, width in zip(wires, widths, strict=True) if width)


def _luts(wires: Sequence[Wire], wire: Wire, width: int) -> int:
    operation = wire.operation
    if is_wiring(wire, wires):
        return 0
    if isinstance(operation, Sum):
        return width if operation.reverse else max(0, width - operation.shift)
    if isinstance(operation, Count):
        return width - first_column(operation, width)
    if isinstance(operation, Round):
        return width + -(-operation.shift // 5)
    if isinstance(operation, Clip):
        return width + -(-max(0, wires[operation.wire].width + operation.shift - width) // 5)
    return 0
