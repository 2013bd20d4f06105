"""Cells of a netlist for UltraScale+, counted as a person asks for them: LUT by size, memories, FF, carry, DSP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core import GraphError
from .report_figure import SYNTHESISED_YOSYS, ReportFigure

LUT_SIZES = {f"LUT{size}": size for size in range(1, 7)} | {"INV": 1}
"""Inputs of each kind of LUT. An inverter that nothing absorbed takes a LUT."""

LUT_RAM = {
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "RAM32X16DR8": 8,
    "RAM64X8SW": 8,
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM128X1S": 2,
    "RAM256X1S": 4,
    "RAM512X1S": 8,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
}
"""LUTs that a memory made of LUTs takes."""

SHIFT_REGISTERS = ("SRL16E", "SRLC16E", "SRLC32E")
FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "LDCE", "LDPE")
CARRY = ("CARRY4", "CARRY8")
MULTIPLEXERS = ("MUXF7", "MUXF8", "MUXF9")
BLOCKS_OF_18 = {"RAMB18E2": 1, "RAMB36E2": 2, "RAMB18E1": 1, "RAMB36E1": 2}
URAM = ("URAM288", "URAM288_BASE")
DSP = ("DSP48E1", "DSP48E2")
NO_CELLS = ("$scopeinfo", "$print", "GND", "VCC")
"""Notes and constants in the netlist."""

KNOWN = {*LUT_SIZES, *LUT_RAM, *SHIFT_REGISTERS, *FLIP_FLOPS, *CARRY, *MULTIPLEXERS, *BLOCKS_OF_18, *URAM, *DSP}


def lut_total(cells: Mapping[str, int]) -> int:
    """LUTs of a netlist: logic, memories and shift registers together, as the vendor's reports count them."""
    return lut_logic(cells) + lut_memories(cells) + _sum(cells, SHIFT_REGISTERS)


def lut_logic(cells: Mapping[str, int]) -> int:
    """LUTs used as logic."""
    return sum(count for name, count in cells.items() if name in LUT_SIZES)


def lut_memories(cells: Mapping[str, int]) -> int:
    """LUTs used as memory."""
    return sum(LUT_RAM[name] * count for name, count in cells.items() if name in LUT_RAM)


def other_cells(cells: Mapping[str, int]) -> dict[str, int]:
    """Cells of kinds that are not known here, such as what could not be mapped."""
    return {name: count for name, count in sorted(cells.items()) if name not in KNOWN and name not in NO_CELLS}


def cell_figures(cells: Mapping[str, int], *, source: str) -> tuple[ReportFigure, ...]:
    """The counts as figures, each of the kind `synthesised (Yosys)`.

    Args:
        cells: Number of cells by type.
        source: What they were counted by.
    """
    return tuple(
        ReportFigure(name=name, value=float(value), kind=SYNTHESISED_YOSYS, source=source)
        for name, value in _counts(cells)
    )


def figure_count(cells: Mapping[str, int], name: str) -> int:
    """One of the counts by its name, such as `LUT`.

    Raises:
        GraphError: There is none of that name.
    """
    counts = dict(_counts(cells))
    if name not in counts:
        raise GraphError(f"a synthesis has no figure {name!r}", remedy="use LUT, FF, CARRY4, BRAM18, URAM or DSP")
    return counts[name]


def _counts(cells: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    yield "LUT", lut_total(cells)
    for size in range(1, 7):
        yield f"LUT of {size} inputs", sum(cells.get(name, 0) for name, inputs in LUT_SIZES.items() if inputs == size)
    yield "LUT as memory", lut_memories(cells)
    yield "LUT as shift register", _sum(cells, SHIFT_REGISTERS)
    yield "FF", _sum(cells, FLIP_FLOPS)
    yield "CARRY4", cells.get("CARRY4", 0) + 2 * cells.get("CARRY8", 0)
    yield "MUXF", _sum(cells, MULTIPLEXERS)
    yield "BRAM18", sum(BLOCKS_OF_18[name] * count for name, count in cells.items() if name in BLOCKS_OF_18)
    yield "URAM", _sum(cells, URAM)
    yield "DSP", _sum(cells, DSP)
    if other := other_cells(cells):
        yield "other cells", sum(other.values())


def _sum(cells: Mapping[str, int], names: tuple[str, ...]) -> int:
    return sum(cells.get(name, 0) for name in names)
