"""Writes a scheduled netlist as one Verilog module of plain additions, selectors and registers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .rtl_core_counting import first_column
from .rtl_core_netlist import Clip, Constant, Count, InputBits, Netlist, Operation, Round, Sum, Term, Track
from .rtl_core_schedule import Schedule

HEADER = """\
// Written by hitfabric. Latency {latency}, a new row each cycle; {registers} register bits.
/* verilator lint_off UNUSEDSIGNAL */ // bits that a rounding drops still take part in a carry
module {name} (
    input  wire clk,
    input  wire [{input_bits}:0] row_in,
    output wire [{output_bits}:0] row_out
);
"""
FOOTER = """\
endmodule
/* verilator lint_on UNUSEDSIGNAL */
"""


def module_text(
    netlist: Netlist, outputs: Sequence[tuple[Term, int]], plan: Schedule, *, name: str, input_bits: int
) -> str:
    """The Verilog of a netlist.

    Args:
        netlist: The operations.
        outputs: Term and bits of each feature that leaves, the lowest first.
        plan: Stages of the wires.
        name: Name of the module.
        input_bits: Width of `row_in`.

    Returns:
        The text of the file.
    """
    writer = _Writer(netlist, plan)
    lines = [writer.definition(index) for index, width in enumerate(plan.widths) if width]
    fields = [writer.extended(term, bits, stage=plan.latency) for term, bits in outputs]
    header = HEADER.format(
        name=name,
        latency=plan.latency,
        registers=plan.register_bits,
        input_bits=input_bits - 1,
        output_bits=sum(bits for _, bits in outputs) - 1,
    )
    result = ",\n        ".join(reversed(fields))  # a concatenation names its highest bits first
    return header + "".join(lines) + f"    assign row_out = {{\n        {result}\n    }};\n" + FOOTER


class _Writer:
    def __init__(self, netlist: Netlist, plan: Schedule) -> None:
        self._netlist = netlist
        self._wires = netlist.wires
        self._plan = plan

    def definition(self, index: int) -> str:
        """Declaration of a wire and of the registers that carry it to later stages."""
        width = self._plan.widths[index]
        if isinstance(self._wires[index].operation, Constant):
            return ""
        made, last = self._plan.stages[index], self._plan.last_use[index]
        operation = self._wires[index].operation
        if isinstance(operation, Clip):
            text = self._clip(index, operation, width)
        elif isinstance(operation, Count):
            text = self._count(index, operation, width)
        else:
            text = f"    wire [{width - 1}:0] v{index} = {self._value(operation, width, made)};\n"
        names = [self._name(index, stage) for stage in range(made, last + 1)]
        for before, name in pairwise(names):
            text += f"    reg [{width - 1}:0] {name};\n    always @(posedge clk) {name} <= {before};\n"
        return text

    def extended(self, term: Term, width: int, *, stage: int) -> str:
        """A term, not negated, as `width` bits at a stage."""
        shift = min(term.shift, width)
        parts = [self._slice(term.wire, 0, width - shift, stage=stage)] if width > shift else []
        parts += [f"{shift}'b0"] if shift else []
        return _joined(parts)

    def _name(self, index: int, stage: int) -> str:
        made = self._plan.stages[index]
        return f"v{index}" if stage == made else f"v{index}_r{stage}"

    def _slice(self, index: int, start: int, width: int, *, stage: int) -> str:
        """Bits `start` to `start + width - 1` of a wire, extended by its sign."""
        wire = self._wires[index]
        if isinstance(wire.operation, Constant):
            return f"{width}'h{(wire.operation.value >> start) & ((1 << width) - 1):x}"
        name, held = self._name(index, stage), self._plan.widths[index]
        taken = max(0, min(width, held - start))
        parts = []
        if width > taken:
            sign = f"{{{width - taken}{{{name}[{held - 1}]}}}}"
            parts.append(sign if wire.low < 0 else f"{width - taken}'b0")
        if taken:
            parts.append(name if taken == held else f"{name}[{start + taken - 1}:{start}]")
        return _joined(parts)

    def _value(self, operation: Operation, width: int, stage: int) -> str:
        if isinstance(operation, InputBits):
            return f"row_in[{operation.offset + width - 1}:{operation.offset}]"
        if isinstance(operation, Sum):
            return self._sum(operation, width, stage)
        assert isinstance(operation, Round)
        return self._round(operation, width, stage)

    def _sum(self, sum_: Sum, width: int, stage: int) -> str:
        high = self._slice(sum_.high, 0, width - sum_.shift, stage=stage) if width > sum_.shift else ""
        if sum_.reverse:
            parts = [*([high] if high else []), *([f"{sum_.shift}'b0"] if sum_.shift else [])]
            return f"{_joined(parts)} - {self._slice(sum_.low, 0, width, stage=stage)}"
        if not high:
            return self._slice(sum_.low, 0, width, stage=stage)
        sign, low = "-" if sum_.subtract else "+", self._wires[sum_.low]
        if low.low >= 0 and low.width <= sum_.shift:
            upper = f"-{high}" if sum_.subtract else high
        else:
            upper = f"{self._slice(sum_.low, sum_.shift, width - sum_.shift, stage=stage)} {sign} {high}"
        if not sum_.shift:
            return upper
        return f"{{{upper}, {self._slice(sum_.low, 0, sum_.shift, stage=stage)}}}"

    def _round(self, round_: Round, width: int, stage: int) -> str:
        kept = self._slice(round_.wire, round_.shift, width, stage=stage)
        if not round_.to_even:
            return kept
        half = self._slice(round_.wire, round_.shift - 1, 1, stage=stage)
        odd = self._slice(round_.wire, round_.shift, 1, stage=stage)
        rest = f" | (|{self._slice(round_.wire, 0, round_.shift - 1, stage=stage)})" if round_.shift > 1 else ""
        one = f"{half} & ({odd}{rest})"
        return f"{kept} + {{{width - 1}'b0, {one}}}" if width > 1 else f"{kept} + ({one})"

    def _count(self, index: int, count: Count, width: int) -> str:
        """Adds one bit of the count of each column; the bits below the first such column pass."""
        stage, start = self._plan.stages[index], first_column(count, width)
        base = self._track(count.base, width, stage)
        if start == width:
            return f"    wire [{width - 1}:0] v{index} = {base};\n"
        columns = width - count.row
        names, text = [], f"    wire [{width - 1}:0] v{index}_b = {base};\n"
        for place, track in enumerate(count.tracks):
            names.append(f"v{index}_t{place}")
            text += f"    wire [{columns - 1}:0] {names[-1]} = {self._track(track, columns, stage)};\n"
        if count.constant:
            names.append(_literal(count.constant, columns))
        steps, ones = _count_bit(f"v{index}", names, count.row, columns)
        text += f"{steps}    wire [{columns - 1}:0] v{index}_n = {ones};\n"
        total = f"v{index}_b[{width - 1}:{start}] + v{index}_n[{columns - 1}:{start - count.row}]"
        total = f"{{{total}, v{index}_b[{start - 1}:0]}}" if start else total
        return f"{text}    wire [{width - 1}:0] v{index} = {total};\n"

    def _track(self, track: Track, width: int, stage: int) -> str:
        """Pieces in their columns, zeros elsewhere."""
        parts, place = [], 0
        for piece in track:
            bits = min(piece.bits, width - piece.column)
            if bits <= 0:
                break
            parts += [f"{piece.column - place}'b0"] if piece.column > place else []
            text = self._slice(piece.wire, piece.start, bits, stage=stage)
            parts.append(f"~{text}" if piece.inverted else text)
            place = piece.column + bits
        parts += [f"{width - place}'b0"] if width > place else []
        return f"{{{', '.join(reversed(parts))}}}"

    def _clip(self, index: int, clip: Clip, width: int) -> str:
        """Two selectors: what is above the range, then what is below it."""
        stage, source = self._plan.stages[index], self._wires[clip.wire]
        low, high, full = source.low << clip.shift, source.high << clip.shift, source.width + clip.shift
        shifted = Term(clip.wire, clip.shift)
        text = self.extended(shifted, width, stage=stage)
        if high > clip.high:
            text = f"{_above(f'v{index}_x', clip.high, full, signed=low < 0)} ? {_literal(clip.high, width)} : {text}"
        if low < clip.low:
            text = f"{_below(f'v{index}_x', clip.low, full)} ? {_literal(clip.low, width)} : {text}"
        declared = f"    wire [{full - 1}:0] v{index}_x = {self.extended(shifted, full, stage=stage)};\n"
        return f"{declared}    wire [{width - 1}:0] v{index} = {text};\n"


def _count_bit(prefix: str, names: Sequence[str], bit: int, width: int) -> tuple[str, str]:
    """Definitions, and the expression, of a bit of the number of ones among up to seven vectors, column by column."""
    if bit == 0:
        return "", " ^ ".join(names)
    text, ones, carries = "", names[0], []
    for place in range(1, len(names), 2):
        pair = names[place : place + 2]
        carry, sum_ = f"{prefix}_c{place}", f"{prefix}_s{place}"
        text += f"    wire [{width - 1}:0] {carry} = {_majority([ones, *pair])};\n"
        text += f"    wire [{width - 1}:0] {sum_} = {' ^ '.join([ones, *pair])};\n"
        ones = sum_
        carries.append(carry)
    if bit == 1:
        return text, " ^ ".join(carries)
    return text, _majority(carries)


def _majority(names: Sequence[str]) -> str:
    """Carry of two or three bits."""
    if len(names) == 2:
        return f"{names[0]} & {names[1]}"
    a, b, c = names
    return f"({a} & {b}) | ({a} & {c}) | ({b} & {c})"


def _above(name: str, limit: int, width: int, *, signed: bool) -> str:
    """Whether a number of `width` bits is above `limit`, at least 0."""
    bits, top = limit.bit_length(), width - 1 - signed
    sign = f"~{name}[{width - 1}] & " if signed else ""
    if limit & (limit + 1) == 0:  # 2**bits - 1: any bit above tells
        return f"({sign}(|{name}[{top}:{bits}]))"
    return f"({sign}({name}[{top}:0] > {_literal(limit, top + 1)}))"


def _below(name: str, limit: int, width: int) -> str:
    """Whether a signed number of `width` bits is below `limit`, at most 0."""
    sign = f"{name}[{width - 1}]"
    if limit == 0:
        return f"({sign})"
    return f"({sign} & ({name}[{width - 2}:0] < {_literal(limit, width - 1)}))"


def _literal(value: int, width: int) -> str:
    return f"{width}'h{value & ((1 << width) - 1):x}"


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"
