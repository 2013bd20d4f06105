"""Verilog of what passes hand on beside memories: accumulators of the scatter-add, and output streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .rtl_accumulators import Accumulator
from .rtl_engine_layout import Layout, Stage, ceil_log2
from .rtl_engine_pass import PassText
from .rtl_fields import Field
from .rtl_passes import NAMES
from .rtl_project import RtlStream


def delay_text(wire: str, bits: int, source: str, cycles: int) -> list[str]:
    """Another wire some cycles later."""
    if cycles == 0:
        return [f"    assign {wire} = {source};"]
    return [
        f"    hitfabric_delay #(.WIDTH({bits}), .DEPTH({cycles})) delay_{wire} (.clk(aclk), .d({source}), .q({wire}));"
    ]


def accumulator_text(
    layout: Layout,
    stages: Sequence[Stage],
    number: int,
    node: str,
    accumulator: Accumulator,
    passes: Mapping[str, PassText],
) -> list[str]:
    """The accumulators of one EdgeAggregate node, between the pass that feeds them and the one that reads them."""
    writer = next(stage for stage in stages if node in stage.work.scatters)
    reader = next(stage for stage in stages if node in stage.work.aggregates)
    message = Field.of(layout.graph, layout.graph[node].inputs[0])
    bits, lanes = layout.node_bits + 1, accumulator.lanes
    ends = f"scatter_{number}_ends"
    ports = [2 * lane + accumulator.column for lane in reversed(range(lanes))]
    nodes = ", ".join(f"{ends}[{port * bits}+:{layout.node_bits}]" for port in ports)
    marks = ", ".join(f"{ends}[{port * bits + layout.node_bits}]" for port in ports)
    parameters = {
        "LANES": lanes,
        "LEVELS": accumulator.levels,
        "BANKS": accumulator.banks,
        "BANK_BITS": ceil_log2(accumulator.banks),
        "NODE_BITS": layout.node_bits,
        "FEATURES": accumulator.features,
        "BITS": accumulator.bits,
        "MESSAGE_BITS": message.bits,
        "MESSAGE_SIGNED": int(message.signed),
        "MAXIMUM": int(accumulator.maximum),
        "SATURATE": int(accumulator.saturates),
    }
    settings = ", ".join(f".{key}({value})" for key, value in parameters.items())
    order, flag = "", []
    if accumulator.scatter == "ordered":
        order = f".token({writer.name}_token), .last({writer.name}_last_written), .disorder(disorder_{number}), "
        flag = _order_flag(layout, writer, number)
    return [
        f"    wire [{2 * lanes * bits - 1}:0] {ends};",
        *delay_text(ends, 2 * lanes * bits, f"{writer.name}_ends", writer.written - 1),
        f"    hitfabric_scatter_{accumulator.scatter} #({settings}) scatter_{number} (.clk(aclk), .rst(rst), "
        f".clear(clearing), .clear_address({{clear_half, clear_address[{reader.beat_bits - 1}:0]}}), {order}"
        f".valid({{{marks}}} & {{{lanes}{{{writer.name}_write}}}}), .buffer({writer.name}_write_graph[0]), "
        f".node({{{nodes}}}), .message({passes[writer.name].written([message.tensor])}), "
        f".read({reader.name}_issue && {reader.name}_full), .read_buffer({reader.name}_graph[0]), "
        f".read_address({reader.name}_beat), .total(total_{number}));",
        f"    wire {ends}_unused = |{ends};",
        *flag,
    ]


def _order_flag(layout: Layout, writer: Stage, number: int) -> list[str]:
    """Whether edges of the reported graph came out of order at an accumulator."""
    slot = layout.slot_bits
    return [
        f"    wire disorder_{number};",
        f"    hitfabric_graph_flag #(.SLOT_BITS({slot})) order_{number} (.clk(aclk), .rst(rst), "
        f".token({writer.name}_token), .last({writer.name}_last_written), .raise(disorder_{number}), "
        f".slot({writer.name}_write_graph[{slot - 1}:0]), .read_slot(reported[{slot - 1}:0]), "
        f".read_flag(order_flag_{number}));",
    ]


def output_text(layout: Layout, stage: Stage, streams: Sequence[RtlStream], text: PassText) -> list[str]:
    """The FIFO between a pass and its output stream: as deep as the pass, so that it never waits."""
    stream = next(each for each in streams if each.name == f"m_axis_{NAMES[stage.work.domain]}")
    name, graph = stage.name, layout.graph
    lanes, used = stage.lanes, sum(field.width for field in stream.fields)
    tensors = [graph[output].inputs[0] for output in stage.work.outputs]
    words, bits = text.written(tensors), lanes * stream.word_bits
    spare = stream.word_bits - used
    zeros = f"{spare}'d0, " if spare else ""
    padded = ", ".join(f"{zeros}{name}_leaving[{lane * used}+:{used}]" for lane in reversed(range(lanes)))
    # Of two output streams one may be read after the other: a whole graph waits in the FIFO, and the engine goes on.
    whole = stage.beat_bits + 1 if sum(each.direction == "out" for each in streams) > 1 else 0
    depth_bits = max(2, whole, ceil_log2(stage.written + 4))
    return [
        f"    wire [{lanes * used - 1}:0] {name}_leaving = {words};",
        f"    hitfabric_fifo #(.WIDTH({bits + 1}), .DEPTH_BITS({depth_bits})) output_{name} (.clk(aclk), .rst(rst), "
        f".reserve({name}_issue && {name}_full), .room({name}_room), .push({name}_write), "
        f".push_data({{{name}_last_written, {padded}}}), .valid({stream.name}_tvalid), .ready({stream.name}_tready), "
        f".data({{{stream.name}_tlast, {stream.name}_tdata}}));",
    ]
