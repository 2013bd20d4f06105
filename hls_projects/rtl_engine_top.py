"""The top module of the engine: ports, headers and status, flow control of the passes, accumulators, output FIFOs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .rtl_engine_layout import Layout, Stage, ceil_log2
from .rtl_engine_pass import PassText
from .rtl_engine_results import accumulator_text, delay_text, output_text
from .rtl_passes import NAMES
from .rtl_project import ENGINE_TOP, RtlStream

TAG_BITS = 32


def top_text(layout: Layout, stages: Sequence[Stage], streams: Sequence[RtlStream]) -> str:
    """The Verilog of the top module.

    Args:
        layout: The engine.
        stages: Its passes in order.
        streams: Its streams of rows.

    Raises:
        GraphError: The network has no input over nodes.
    """
    passes = {stage.name: PassText(layout, stage, streams) for stage in stages}
    lines = [
        f"// {layout.graph.name}: {', '.join(f'{stage.name} x {stage.lanes}' for stage in stages)}; generated.",
        f"module {ENGINE_TOP} (",
        ",\n".join(f"    {port}" for port in _ports(streams)),
        ");",
        "    reg rst;",
        "    always @(posedge aclk) rst <= !aresetn;",
        *_graphs(layout, stages),
    ]
    for stage in stages:
        lines += _issue(layout, stage, stages)
    for stage in stages:
        lines += passes[stage.name].lines()
    for link in layout.links:
        writer = next(stage for stage in stages if stage.name == link.writer)
        if link.kind == "ends":
            bits = writer.lanes * 2 * (layout.node_bits + 1)
            lines += delay_text(f"{link.name}_words", bits, f"{link.writer}_ends", writer.written - 1)
        else:
            words = passes[link.writer].written([field.tensor for field in link.fields])
            lines.append(f"    assign {link.name}_words = {words};")
    for number, (node, accumulator) in enumerate(layout.accumulators.items()):
        lines += accumulator_text(layout, stages, number, node, accumulator, passes)
    for stage in stages:
        if stage.work.outputs:
            lines += output_text(layout, stage, streams, passes[stage.name])
    lines += ["endmodule", ""]
    return "\n".join(lines)


def _ports(streams: Sequence[RtlStream]) -> Iterator[str]:
    yield from ("input  wire aclk", "input  wire aresetn", "input  wire [63:0] s_axis_graph_tdata")
    yield from ("input  wire s_axis_graph_tvalid", "output wire s_axis_graph_tready")
    for stream in streams:
        into, out = ("input ", "output") if stream.direction == "in" else ("output", "input ")
        yield f"{into} wire [{stream.lanes * stream.word_bits - 1}:0] {stream.name}_tdata"
        yield f"{into} wire {stream.name}_tvalid"
        yield f"{out} wire {stream.name}_tready"
        yield f"{into} wire {stream.name}_tlast"
    yield from ("output wire [63:0] m_axis_status_tdata", "output wire m_axis_status_tvalid")
    yield "input  wire m_axis_status_tready"


def _graphs(layout: Layout, stages: Sequence[Stage]) -> list[str]:
    """Headers in, status out, and the declarations everything refers to."""
    bits, slot_bits = layout.graph_bits, layout.slot_bits
    nodes, edges = _limits(layout)
    rows = max((stage.beat_bits for stage in stages if stage.work.aggregates), default=1)
    lines = [
        f"    wire [{bits - 1}:0] accepted, reported;",
        f"    wire [{slot_bits - 1}:0] write_slot;",
        "    wire header_write, too_many_nodes, too_many_edges, clearing;",
        f"    wire [{rows - 1}:0] clear_address;",
        "    wire clear_half;",
        "    wire refused = too_many_nodes || too_many_edges;",
        "    wire [15:0] header_nodes = s_axis_graph_tdata[15:0];",
        "    wire [15:0] header_edges = s_axis_graph_tdata[31:16];",
        f"    wire [{TAG_BITS + 1}:0] reported_header;",
        "    wire index_flag, order_flag;",
        f"    hitfabric_clear #(.BITS({rows + 1})) clear "
        "(.clk(aclk), .rst(rst), .busy(clearing), .address({clear_half, clear_address}));",
        "    wire unused_clear = &{1'b0, clear_half, clear_address, header_nodes, header_edges};",
    ]
    for stage in stages:
        lines += [
            f"    wire {stage.name}_issue, {stage.name}_full, {stage.name}_last;",
            f"    wire [{stage.beat_bits - 1}:0] {stage.name}_beat;",
            f"    wire [{bits - 1}:0] {stage.name}_graph, {stage.name}_done;",
        ]
    for link in layout.links:
        writer = next(stage for stage in stages if stage.name == link.writer)
        width = 2 * (layout.node_bits + 1) if link.kind == "ends" else link.width
        lines.append(f"    wire [{writer.lanes * width - 1}:0] {link.name}_words;")
    for number, accumulator in enumerate(layout.accumulators.values()):
        width = accumulator.banks * accumulator.features * accumulator.bits
        lines.append(f"    wire [{width - 1}:0] total_{number};")
    finished = " && ".join(f"{stage.name}_done != reported" for stage in stages)
    edge_pass = any(stage.work.domain == "E" and stage.work.enters for stage in stages)
    if not edge_pass:
        lines.append("    assign index_flag = 1'b0;")
    lines += [
        *_order(layout),
        f"    hitfabric_slots #(.WIDTH({TAG_BITS + 2}), .SLOT_BITS({slot_bits})) tags "
        "(.clk(aclk), .write(header_write), .write_slot(write_slot), "
        ".write_data({too_many_edges, too_many_nodes, s_axis_graph_tdata[63:32]}), "
        f".read_slot(reported[{slot_bits - 1}:0]), .read_data(reported_header));",
        f"    wire reported_refused = |reported_header[{TAG_BITS + 1}:{TAG_BITS}];",
        f"    hitfabric_graphs #(.GRAPH_BITS({bits}), .MOST_NODES({nodes}), .MOST_EDGES({edges})) graphs (.clk(aclk), "
        ".rst(rst), .busy(clearing), .header(s_axis_graph_tdata[31:0]), .header_valid(s_axis_graph_tvalid), "
        ".header_ready(s_axis_graph_tready), .write(header_write), .write_slot(write_slot), "
        ".too_many_nodes(too_many_nodes), .too_many_edges(too_many_edges), .accepted(accepted), .reported(reported), "
        f".done({finished}), .report({{order_flag && !reported_refused, index_flag && !reported_refused, "
        "reported_header}), .status(m_axis_status_tdata), "
        ".status_valid(m_axis_status_tvalid), .status_ready(m_axis_status_tready));",
    ]
    return lines


def _order(layout: Layout) -> list[str]:
    """The flag of edges out of order, from those of the accumulators."""
    flags = [f"order_flag_{number}" for number in range(len(layout.accumulators))]
    if layout.config.scatter == "banked" or not flags:
        return ["    assign order_flag = 1'b0;"]
    return [f"    wire {', '.join(flags)};", f"    assign order_flag = {' || '.join(flags)};"]


def _limits(layout: Layout) -> tuple[int, int]:
    """Most rows or nodes, and edges, of a graph; independent rows have no maximum but the header's."""
    if not layout.graph.is_graph_network:
        return 65535, 65535
    return layout.graph.maxima.nodes, layout.graph.maxima.edges


def _issue(layout: Layout, stage: Stage, stages: Sequence[Stage]) -> list[str]:
    """Flow control: when a pass may start a graph, and when it may issue a beat."""
    name, work, bits = stage.name, stage.work, layout.graph_bits
    starts, rooms, lines = [], [], []
    buffers = {link.reader: link.buffers for link in layout.out_of(work)}
    for accumulator_node in work.scatters:
        reader = next(other.name for other in stages if accumulator_node in other.work.aggregates)
        buffers[reader] = min(buffers.get(reader, 2), 2)
    for reader, count in buffers.items():
        ahead = f"{name}_ahead_of_{reader}"
        lines.append(f"    wire [{bits - 1}:0] {ahead} = {name}_graph - {reader}_graph;")
        starts.append(f"!{ahead}[{ceil_log2(count)}]")
        lines.append(f"    wire {ahead}_unused = |{ahead};")
    if work.outputs:
        lines.append(f"    wire {name}_room;")
        rooms.append(f"{name}_room")
    if work.enters:
        return [*lines, *_entry(layout, stage, starts, rooms)]
    for source in _sources(layout, stage, stages):
        if source.work.enters and source.work.domain == work.domain == "E":
            beats = f"{source.name}_beats"
            rooms.append(f"({source.name}_done != {name}_graph || {beats} > {{1'b0, {name}_beat}})")
        else:
            starts.append(f"{source.name}_done != {name}_graph")
    count = f"{name}_count"
    effective = "header_nodes" if work.domain == "N" else "header_edges"
    return [
        *lines,
        f"    wire [15:0] {count};",
        f"    hitfabric_slots #(.WIDTH(16), .SLOT_BITS({layout.slot_bits})) slots_{name} (.clk(aclk), "
        f".write(header_write), .write_slot(write_slot), .write_data({effective} & {{16{{!refused}}}}), "
        f".read_slot({name}_graph[{layout.slot_bits - 1}:0]), .read_data({count}));",
        f"    hitfabric_pass #(.LANES({stage.lanes}), .BEAT_BITS({stage.beat_bits}), .GRAPH_BITS({bits})) "
        f"issue_{name} (.clk(aclk), .rst(rst), .count({count}), .start({_all(starts)}), .room({_all(rooms)}), "
        f".issue({name}_issue), .full({name}_full), .last({name}_last), .beat({name}_beat), .graph({name}_graph));",
    ]


def _entry(layout: Layout, stage: Stage, starts: Sequence[str], rooms: Sequence[str]) -> list[str]:
    name, bits = stage.name, layout.graph_bits
    stream = f"s_axis_{NAMES[stage.work.domain]}"
    own = "header_edges" if stage.work.domain == "E" else "header_nodes"
    lines = [
        f"    wire [15:0] {name}_count, {name}_nodes;",
        f"    wire {name}_drop;",
        f"    wire [{stage.lanes - 1}:0] {name}_lanes;",
        f"    hitfabric_slots #(.WIDTH(33), .SLOT_BITS({layout.slot_bits})) slots_{name} (.clk(aclk), "
        f".write(header_write), .write_slot(write_slot), .write_data({{refused, header_nodes, {own}}}), "
        f".read_slot({name}_graph[{layout.slot_bits - 1}:0]), "
        f".read_data({{{name}_drop, {name}_nodes, {name}_count}}));",
        f"    hitfabric_entry #(.LANES({stage.lanes}), .BEAT_BITS({stage.beat_bits}), .GRAPH_BITS({bits})) "
        f"issue_{name} (.clk(aclk), .rst(rst), .count({name}_count), .drop({name}_drop), "
        f".enter(accepted != {name}_graph), "
        f".start({_all(starts)}), .room({_all(rooms)}), .tvalid({stream}_tvalid), .tready({stream}_tready), "
        f".issue({name}_issue), .full({name}_full), .last({name}_last), .beat({name}_beat), .lanes({name}_lanes), "
        f".graph({name}_graph));",
        f"    wire {name}_unused_last = &{{1'b0, {stream}_tlast, {name}_lanes, {name}_nodes, {name}_beat}};",
    ]
    if stage.work.domain == "E":
        lines += [
            f"    wire [{stage.beat_bits}:0] {name}_beats;",
            f"    hitfabric_progress #(.BITS({stage.beat_bits})) progress_{name} (.clk(aclk), .rst(rst), "
            f".token({name}_write), .last({name}_last_written), .beats({name}_beats));",
            f"    wire {name}_unused_beats = |{name}_beats;",
        ]
    return lines


def _all(conditions: Sequence[str]) -> str:
    return " && ".join(conditions) or "1'b1"


def _sources(layout: Layout, stage: Stage, stages: Sequence[Stage]) -> list[Stage]:
    """Passes whose results a pass reads."""
    names = {link.writer for link in layout.into(stage.work)}
    for node in stage.work.aggregates:
        names |= {other.name for other in stages if node in other.work.scatters}
    return [other for other in stages if other.name in names]
