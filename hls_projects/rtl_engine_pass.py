"""Verilog of one pass of the engine: what it reads, its core in every lane, and what it hands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core import GraphError
from .rtl_engine_layout import Layout, Link, Stage, ceil_log2
from .rtl_fields import Field
from .rtl_passes import NAMES, handed_on
from .rtl_project import RtlStream


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor of the rows in flight.

    Attributes:
        wire: The lanes' words, lane 0 lowest.
        field: What a word is.
    """

    wire: str
    field: Field


class PassText:
    """Writes a pass.

    Args:
        layout: The engine.
        stage: The pass.
        streams: Streams of the engine.
    """

    def __init__(self, layout: Layout, stage: Stage, streams: Sequence[RtlStream]) -> None:
        self._layout, self._stage, self._name = layout, stage, stage.name
        self._streams = {stream.name: stream for stream in streams}
        self._lines: list[str] = []
        self._values: dict[str, Value] = {}

    def lines(self) -> list[str]:
        """The pass from its issue to the wires `written` names."""
        self._lines.append(f"    // ---- {self._name}: {', '.join(self._stage.work.core) or 'nothing computed'}")
        self._flags()
        if self._stage.work.enters:
            self._enter()
        else:
            self._read_rows()
            self._read_ends()
            self._read_sums()
        self._compute()
        return self._lines

    def written(self, tensors: Sequence[str]) -> str:
        """Words of several tensors per lane, the first lowest, as they are handed on."""
        values = [self._values[name] for name in tensors]
        return _interleaved([(value.wire, value.field.width) for value in values], self._stage.lanes)

    def _wire(self, name: str, bits: int, value: str | None = None) -> str:
        wire = f"{self._name}_{name}"
        self._lines.append(f"    wire [{bits - 1}:0] {wire}{'' if value is None else f' = {value}'};")
        return wire

    def _delayed(self, name: str, bits: int, source: str, cycles: int) -> str:
        if cycles == 0:
            return source
        wire = self._wire(name, bits)
        self._lines.append(
            f"    hitfabric_delay #(.WIDTH({bits}), .DEPTH({cycles})) delay_{wire} "
            f"(.clk(aclk), .d({source}), .q({wire}));"
        )
        return wire

    def _flags(self) -> None:
        """Tokens of the beats, when their results are written and when the pass counts as done with them."""
        name, stage, layout = self._name, self._stage, self._layout
        self._wire("token", 1)
        self._wire("write", 1)
        self._wire("last_written", 1)
        self._lines.append(
            f"    hitfabric_flags #(.WIDTH(3), .DEPTH({stage.written})) flags_{name} (.clk(aclk), .rst(rst), "
            f".d({{{name}_issue && {name}_last, {name}_issue && {name}_full, {name}_issue}}), "
            f".q({{{name}_last_written, {name}_write, {name}_token}}));"
        )
        bits = stage.beat_bits + layout.graph_bits
        place = self._delayed("place", bits, f"{{{name}_graph, {name}_beat}}", stage.written)
        self._lines.append(f"    wire [{stage.beat_bits - 1}:0] {name}_write_beat = {place}[{stage.beat_bits - 1}:0];")
        self._lines.append(
            f"    wire [{layout.graph_bits - 1}:0] {name}_write_graph = {place}[{bits - 1}:{stage.beat_bits}];"
        )
        self._lines.append(f"    wire {name}_unused = &{{1'b0, {name}_token, {name}_write_beat, {name}_write_graph}};")
        self._wire("finish", 1)
        self._lines.append(
            f"    hitfabric_flags #(.WIDTH(1), .DEPTH({stage.extra})) finish_{name} (.clk(aclk), .rst(rst), "
            f".d({name}_last_written), .q({name}_finish));"
        )
        self._lines.append(
            f"    hitfabric_counter #(.BITS({layout.graph_bits})) done_{name} (.clk(aclk), .rst(rst), "
            f".step({name}_finish), .count({name}_done));"
        )

    def _enter(self) -> None:
        stage, work = self._stage, self._stage.work
        stream = self._streams.get(f"s_axis_{NAMES[work.domain]}")
        if stream is None:
            raise GraphError(
                f"network {self._layout.graph.name} has no input over {NAMES[work.domain]}",
                remedy="give the RTL engine a feature input over nodes and an edge index",
            )
        bits = stream.word_bits * stream.lanes
        data = self._delayed("data", bits, f"{stream.name}_tdata", 1)
        offset, padding = 0, stream.word_bits
        for field in stream.fields:
            wire = self._picked(f"in_{len(self._values)}", data, stream.word_bits, offset, field.width)
            self._values[field.tensor] = Value(wire=wire, field=field)
            offset += field.width
        spare = [f"{data}[{lane * padding + bit}]" for lane in range(stage.lanes) for bit in range(offset, padding)]
        if spare:
            self._lines.append(f"    wire {self._name}_unused_padding = &{{1'b0, {', '.join(spare)}}};")
        if work.domain == "E":
            self._mark_ends(stream)

    def _picked(self, name: str, source: str, word: int, offset: int, width: int) -> str:
        parts = (f"{source}[{lane * word + offset}+:{width}]" for lane in reversed(range(self._stage.lanes)))
        return self._wire(name, width * self._stage.lanes, f"{{{', '.join(parts)}}}")

    def _mark_ends(self, stream: RtlStream) -> None:
        """Ends of the edges with a mark each, and the flag of those that are no nodes."""
        layout, stage, name = self._layout, self._stage, self._name
        index = stream.fields[0]
        node_bits, lanes = layout.node_bits, stage.lanes
        held = self._delayed("held", lanes + 16, f"{{{name}_lanes & {{{lanes}{{{name}_full}}}}, {name}_nodes}}", 1)
        ends = self._wire("ends", lanes * 2 * (node_bits + 1))
        outside = self._wire("outside", 1)
        self._lines.append(
            f"    hitfabric_ends #(.LANES({lanes}), .INDEX_BITS({index.bits}), .NODE_BITS({node_bits})) mark_{name} ("
            f".nodes({held}[15:0]), .lanes({held}[{lanes + 15}:16]), .index({self._values[index.tensor].wire}), "
            f".ends({ends}), .outside({outside}));"
        )
        early = self._wire("early", 2)
        slot = self._delayed("early_slot", layout.slot_bits, f"{name}_graph[{layout.slot_bits - 1}:0]", 1)
        self._lines += [
            f"    hitfabric_flags #(.WIDTH(2), .DEPTH(1)) early_{name} (.clk(aclk), .rst(rst), "
            f".d({{{name}_issue && {name}_last, {name}_issue}}), .q({early}));",
            f"    hitfabric_graph_flag #(.SLOT_BITS({layout.slot_bits})) flag_{name} (.clk(aclk), .rst(rst), "
            f".token({early}[0]), .last({early}[1]), .raise({outside}), .slot({slot}), "
            f".read_slot(reported[{layout.slot_bits - 1}:0]), .read_flag(index_flag));",
        ]

    def _read_rows(self) -> None:
        for link in self._layout.into(self._stage.work):
            if link.kind != "rows":
                continue
            read = self._wire(f"read_{link.writer}", link.width * self._stage.lanes)
            self._memory(link, read, link.width)
            ready = self._delayed(f"rows_{link.writer}", link.width * self._stage.lanes, read, self._stage.read - 1)
            self._take(link, ready)

    def _take(self, link: Link, wire: str) -> None:
        offset = 0
        for field in link.fields:
            picked = self._picked(f"in_{len(self._values)}", wire, link.width, offset, field.width)
            self._values[field.tensor] = Value(wire=picked, field=field)
            offset += field.width

    def _memory(self, link: Link, read: str, width: int) -> None:
        """The memory of rows in order behind a link; the writer's words are the wire `<link>_words`."""
        layout, stage, low = self._layout, self._stage, link.buffer_bits - 1
        writer = next(work for work in layout.passes if work.name == link.writer)
        block = layout.config.edge_memory if stage.work.domain == "E" else layout.config.node_memory
        write_bits = link.buffer_bits + layout.beat_bits(writer)
        self._lines.append(
            f"    hitfabric_memory #(.WRITE_WIDTH({width * layout.lanes(writer)}), .READ_WIDTH({width * stage.lanes}), "
            f".WRITE_BITS({write_bits}), .READ_BITS({link.buffer_bits + stage.beat_bits}), "
            f".BLOCK({int(block == 'block')})) memory_{link.name} (.clk(aclk), .write({link.writer}_write), "
            f".write_address({{{link.writer}_write_graph[{low}:0], {link.writer}_write_beat}}), "
            f".write_data({link.name}_words), "
            f".read_address({{{self._name}_graph[{low}:0], {self._name}_beat}}), .read_data({read}));"
        )

    def _read_ends(self) -> None:
        layout, stage, name = self._layout, self._stage, self._name
        end_bits = layout.node_bits + 1
        for link in layout.into(stage.work):
            if link.kind == "ends":
                ends = self._wire("ends", stage.lanes * 2 * end_bits)
                self._memory(link, ends, 2 * end_bits)
        gathers = [link for link in layout.into(stage.work) if link.kind == "gather"]
        for link in gathers:
            self._gather(link, f"{name}_ends")
        for gather in stage.work.gathers:
            self._join_ends(gather, gathers)

    def _gather(self, link: Link, ends: str) -> None:
        layout, stage = self._layout, self._stage
        writer = next(work for work in layout.passes if work.name == link.writer)
        banks, low, ports = layout.lanes(writer), link.buffer_bits - 1, 2 * stage.lanes
        bits = layout.node_bits + 1
        nodes = ", ".join(f"{ends}[{port * bits}+:{layout.node_bits}]" for port in reversed(range(ports)))
        marks = ", ".join(f"{ends}[{port * bits + layout.node_bits}]" for port in reversed(range(ports)))
        buffer = self._delayed(f"buffer_{link.writer}", link.buffer_bits, f"{self._name}_graph[{low}:0]", 1)
        found = self._wire(f"found_{link.writer}", ports * link.width)
        self._lines.append(
            f"    hitfabric_gather #(.WIDTH({link.width}), .BANKS({banks}), .BANK_BITS({ceil_log2(banks)}), "
            f".NODE_BITS({layout.node_bits}), .BUFFER_BITS({link.buffer_bits}), .PORTS({ports}), "
            f".BLOCK({int(layout.config.node_memory == 'block')})) gather_{link.name} (.clk(aclk), "
            f".write({link.writer}_write), "
            f".write_address({{{link.writer}_write_graph[{low}:0], {link.writer}_write_beat}}), "
            f".write_data({link.name}_words), .read_buffer({buffer}), .read_node({{{nodes}}}), "
            f".read_valid({{{marks}}}), .read_data({found}));"
        )

    def _join_ends(self, gather: str, links: Sequence[Link]) -> None:
        """A gathered tensor: the sender's features below the receiver's."""
        source = self._layout.graph[gather].inputs[0]
        link = next(link for link in links if any(field.tensor == source for field in link.fields))
        offset = 0
        for field in link.fields:
            if field.tensor == source:
                break
            offset += field.width
        width = Field.of(self._layout.graph, source).width
        found = f"{self._name}_found_{link.writer}"
        parts = [f"{found}[{port * link.width + offset}+:{width}]" for port in range(2 * self._stage.lanes)]
        wire = self._wire(f"in_{len(self._values)}", 2 * width * self._stage.lanes, f"{{{', '.join(reversed(parts))}}}")
        self._values[gather] = Value(wire=wire, field=Field.of(self._layout.graph, gather))

    def _read_sums(self) -> None:
        for node in self._stage.work.aggregates:
            accumulator, field = self._layout.accumulators[node], Field.of(self._layout.graph, node)
            count = accumulator.banks * accumulator.features
            number = list(self._layout.accumulators).index(node)
            total = self._delayed(
                f"sum_{number}",
                count * accumulator.bits,
                f"total_{number}",
                self._stage.read - 1 - accumulator.read_cycles,
            )
            wire = self._wire(f"in_{len(self._values)}", count * field.bits)
            self._lines.append(
                f"    hitfabric_extend #(.COUNT({count}), .FROM({accumulator.bits}), .TO({field.bits})) "
                f"extend_{self._name}_{number} (.d({total}), .q({wire}));"
            )
            self._values[node] = Value(wire=wire, field=field)

    def _compute(self) -> None:
        stage, core = self._stage, self._stage.core
        if core is None:
            return
        lanes, taken = stage.lanes, [self._values[field.tensor] for field in core.inputs]
        arriving = _interleaved([(value.wire, value.field.width) for value in taken], lanes)
        width_in = sum(field.width for field in core.inputs)
        width_out = sum(field.width for field in core.outputs)
        rows = self._wire("row", width_in * lanes, arriving)
        found = self._wire("result", width_out * lanes)
        self._lines += [
            f"    {core.name} {core.name}_{lane} (.clk(aclk), .row_in({rows}[{lane * width_in}+:{width_in}]), "
            f".row_out({found}[{lane * width_out}+:{width_out}]));"
            for lane in range(lanes)
        ]
        leaving = handed_on(self._layout.graph, stage.work)
        for name, value in list(self._values.items()):
            wire = value.wire.removeprefix(f"{self._name}_")
            if name in leaving:
                late = self._delayed(f"late_{wire}", value.field.width * lanes, value.wire, core.latency)
                self._values[name] = Value(wire=late, field=value.field)
        offset = 0
        for field in core.outputs:
            picked = self._picked(f"out_{len(self._values)}", found, width_out, offset, field.width)
            self._values[field.tensor] = Value(wire=picked, field=field)
            offset += field.width


def _interleaved(parts: Sequence[tuple[str, int]], lanes: int) -> str:
    """Lanes' words of several tensors: in each lane the first lowest."""
    words = [f"{wire}[{lane * width}+:{width}]" for lane in range(lanes) for wire, width in parts]
    return f"{{{', '.join(reversed(words))}}}"
