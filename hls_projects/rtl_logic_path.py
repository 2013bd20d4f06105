"""The longest path between registers of a mapped netlist, as Yosys (its pass `sta`) finds it: delays of cells alone."""

from __future__ import annotations

import re

from ..core import StrictModel, ToolError

ARRIVAL = re.compile(r"^Latest arrival time in '.*' is (\d+):", flags=re.MULTILINE)
STEP = re.compile(r"^ +(\d+) (\S+) \((\w+)\.[^)]*\)$", flags=re.MULTILINE)
UNTIMED = re.compile(r"^Warning: Module '(\w+)' has no timing arcs!$", flags=re.MULTILINE)


class LogicPath(StrictModel):
    """The longest path.

    Attributes:
        delay: Sum of the delays of its cells with the setup time at its end, ns; nothing of wires.
        cells: Types of its cells from end to begin, registers included.
        end: Cell it ends in.
        untimed: Types of cells whose delays are not known; paths through them are not seen.
    """

    delay: float
    cells: tuple[str, ...] = ()
    end: str = ""
    untimed: tuple[str, ...] = ()

    @property
    def levels(self) -> int:
        """LUTs and carry cells on it."""
        return sum(name.startswith(("LUT", "CARRY", "MUXF", "INV", "RAM")) for name in self.cells)


def read_logic_path(text: str) -> LogicPath:
    """Read what `sta` printed.

    Raises:
        ToolError: It is not what `sta` prints.
    """
    untimed = tuple(sorted(set(UNTIMED.findall(text))))
    arrival = ARRIVAL.search(text)
    if arrival is None:
        if "Executing STA pass" in text:
            return LogicPath(delay=0.0, untimed=untimed)  # a design of wires has no path
        raise ToolError("Yosys printed no timing of the design", remedy="use another version of Yosys")
    # The path follows its length; the histogram behind it has no line of this form.
    steps = STEP.findall(text, arrival.end())
    return LogicPath(
        delay=int(arrival[1]) / 1000,
        cells=tuple(kind for _, _, kind in steps),
        end=steps[0][1] if steps else "",
        untimed=untimed,
    )


def lut_memories_verilog() -> str:
    """Memories of eight LUTs as two of four, whose delays the library has: a map for the timing alone."""
    return _two_memories("RAM64M8", "RAM64M", address=6, bits=1) + _two_memories(
        "RAM32M16", "RAM32M", address=5, bits=2
    )


def _two_memories(name: str, half: str, *, address: int, bits: int) -> str:
    lanes, vector = "ABCDEFGH", f"[{bits - 1}:0] "
    ports = [f"output {vector}DO{lane}" for lane in lanes]
    ports += [f"input [{address - 1}:0] ADDR{lane}" for lane in lanes]
    ports += [f"input {vector}DI{lane}" for lane in lanes] + ["input WCLK", "input WE"]
    lines = [f"module {name} ({', '.join(ports)});", "  parameter IS_WCLK_INVERTED = 0;"]
    lines += [f"  parameter INIT_{lane} = 0;" for lane in lanes]
    for instance, chosen in (("low", lanes[:4]), ("high", lanes[4:])):
        joined = [f".DO{a}(DO{b}), .ADDR{a}(ADDR{b}), .DI{a}(DI{b})" for a, b in zip(lanes[:4], chosen, strict=True)]
        lines.append(f"  {half} {instance} ({', '.join([*joined, '.WCLK(WCLK)', '.WE(WE)'])});")
    return "\n".join([*lines, "endmodule", ""])
