// Hits in, track labels out: doublet_builder, hitfabric_engine (an edge classifier) and component_labels in a row.
//
//   s_axis_graph, s_axis_hits     as of doublet_builder
//   m_axis_labels                 as of component_labels
//   m_axis_status                 one beat per graph, in order: tag [31:0], [32] too many nodes, [33] too many edges,
//                                 [34] a hit out of range, [35] tlast of the hits at a wrong beat, [36] a fault within
// Of a graph with too many nodes or edges only the status comes.
/* verilator lint_off DECLFILENAME */
module hitfabric_tracking #(
    /* verilator lint_on DECLFILENAME */
    parameter integer LANES = 8,
    parameter integer LANE_BITS = 3,
    parameter integer ROW_BITS = 5,
    parameter integer GROUP_BITS = 1,
    parameter integer MAX_EDGES = 512,
    parameter integer DEPTH_BITS = 6,
    parameter integer LAYERS = 18,
    parameter integer LAYER_BITS = 5,
    parameter integer R_BITS = 13,
    parameter integer ANGLE_BITS = 18,
    parameter integer SLOPE = 782,
    parameter integer SLOPE_BITS = 12,
    parameter integer Z0 = 245760,
    parameter integer FIFO_BITS = 6,
    parameter integer LOGIT_BITS = 17,
    parameter integer THRESHOLD = 0,
    parameter integer MERGES = 4,
    parameter integer LABEL_LANES = 8,
    // Widths that follow; not to be set.
    parameter integer INDEX_BITS = ROW_BITS + LANE_BITS + 1,
    parameter integer EDGE_WORD = (2 * INDEX_BITS + 64 + 7) / 8 * 8,
    parameter integer LOGIT_WORD = (LOGIT_BITS + 7) / 8 * 8,
    parameter integer SCORED_WORD = (2 * INDEX_BITS + LOGIT_BITS + 7) / 8 * 8,
    parameter integer LABEL_WORD = (INDEX_BITS + 7) / 8 * 8
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire [63:0] s_axis_graph_tdata,
    input  wire s_axis_graph_tvalid,
    output wire s_axis_graph_tready,
    input  wire [LANES*56-1:0] s_axis_hits_tdata,
    input  wire s_axis_hits_tvalid,
    input  wire s_axis_hits_tlast,
    output wire s_axis_hits_tready,
    output wire [LABEL_LANES*LABEL_WORD-1:0] m_axis_labels_tdata,
    output wire m_axis_labels_tvalid,
    output wire m_axis_labels_tlast,
    input  wire m_axis_labels_tready,
    output wire [63:0] m_axis_status_tdata,
    output wire m_axis_status_tvalid,
    input  wire m_axis_status_tready
);
    localparam integer MAX_NODES = LANES << ROW_BITS;
    localparam integer GRAPH_BITS = 3;  // log2 of the graphs under way

    // ---- Hits go to the doublet builder, and wait for the engine as nodes.
    reg keep;  // the graph that enters has not too many nodes
    wire builder_graph_ready, builder_hits_ready, counts_full, counts_empty, nodes_full, nodes_empty;
    wire [ROW_BITS:0] rows;
    wire [LANES*48-1:0] hit_nodes, node_words;
    wire graph_in = s_axis_graph_tvalid && s_axis_graph_tready;
    wire hits_in = s_axis_hits_tvalid && s_axis_hits_tready;
    wire fits = s_axis_graph_tdata[15:0] <= MAX_NODES[15:0];
    /* verilator lint_off UNUSEDSIGNAL */
    wire [15:0] rows_in = (s_axis_graph_tdata[15:0] + LANES[15:0] - 16'd1) >> LANE_BITS;
    /* verilator lint_on UNUSEDSIGNAL */
    wire next_graph, next_row;
    assign s_axis_graph_tready = builder_graph_ready && !counts_full;
    assign s_axis_hits_tready = builder_hits_ready && !nodes_full;
    always @(posedge aclk) if (graph_in) keep <= fits;

    stream_fifo #(.BITS(ROW_BITS + 1), .DEPTH_BITS(GRAPH_BITS)) counts (
        .aclk(aclk), .aresetn(aresetn), .put(graph_in), .word_in(fits ? rows_in[ROW_BITS:0] : {(ROW_BITS+1){1'b0}}),
        .full(counts_full), .take(next_graph), .word_out(rows), .empty(counts_empty)
    );
    stream_fifo #(.BITS(LANES * 48), .DEPTH_BITS(ROW_BITS + 2)) nodes (
        .aclk(aclk), .aresetn(aresetn), .put(hits_in && keep), .word_in(hit_nodes), .full(nodes_full),
        .take(next_row), .word_out(node_words), .empty(nodes_empty)
    );

    /* verilator lint_off UNUSEDSIGNAL */
    wire [63:0] built_graph, built_status;
    /* verilator lint_on UNUSEDSIGNAL */
    wire built_graph_valid, built_graph_ready, built_status_valid, built_status_ready;
    wire [LANES*EDGE_WORD-1:0] built_edges;
    wire built_edges_valid, built_edges_last, built_edges_ready;
    doublet_builder #(
        .LANES(LANES), .LANE_BITS(LANE_BITS), .ROW_BITS(ROW_BITS), .GROUP_BITS(GROUP_BITS), .MAX_EDGES(MAX_EDGES),
        .DEPTH_BITS(DEPTH_BITS), .LAYERS(LAYERS), .LAYER_BITS(LAYER_BITS), .R_BITS(R_BITS), .ANGLE_BITS(ANGLE_BITS), .SLOPE(SLOPE),
        .SLOPE_BITS(SLOPE_BITS), .Z0(Z0), .FIFO_BITS(FIFO_BITS)
    ) builder (
        .aclk(aclk), .aresetn(aresetn), .s_axis_graph_tdata(s_axis_graph_tdata),
        .s_axis_graph_tvalid(s_axis_graph_tvalid && !counts_full), .s_axis_graph_tready(builder_graph_ready),
        .s_axis_hits_tdata(s_axis_hits_tdata), .s_axis_hits_tvalid(s_axis_hits_tvalid && !nodes_full),
        .s_axis_hits_tlast(s_axis_hits_tlast), .s_axis_hits_tready(builder_hits_ready),
        .m_axis_graph_tdata(built_graph), .m_axis_graph_tvalid(built_graph_valid),
        .m_axis_graph_tready(built_graph_ready), .m_axis_edges_tdata(built_edges),
        .m_axis_edges_tvalid(built_edges_valid), .m_axis_edges_tlast(built_edges_last),
        .m_axis_edges_tready(built_edges_ready), .m_axis_status_tdata(built_status),
        .m_axis_status_tvalid(built_status_valid), .m_axis_status_tready(built_status_ready)
    );

    // ---- The nodes of a graph follow its header; those of one with too many edges are dropped.
    reg [ROW_BITS:0] rows_left;
    reg dropping;
    wire engine_graph_ready, engine_nodes_ready, headers_full, reports_full;
    wire between = rows_left == 0;
    wire refused = built_status[33:32] != 2'd0;
    wire header = between && built_graph_valid && !counts_empty && !headers_full;
    wire drop = between && built_status_valid && refused && !counts_empty && !reports_full;
    wire sending = !between && !dropping && !nodes_empty;
    assign built_graph_ready = header && engine_graph_ready;
    assign built_status_ready = !reports_full && (!refused || drop);
    assign next_graph = built_graph_ready || drop;
    assign next_row = !between && !nodes_empty && (dropping || engine_nodes_ready);
    always @(posedge aclk) begin
        if (!aresetn) rows_left <= {(ROW_BITS+1){1'b0}};
        else if (next_graph) rows_left <= rows;
        else if (next_row) rows_left <= rows_left - 1'b1;
        if (next_graph) dropping <= drop;
    end

    // ---- Edges go to the engine; their ends wait for the logits.
    wire ends_full, ends_empty, engine_edges_ready, scored_ready;
    wire [LANES*2*INDEX_BITS-1:0] ends_in, ends;
    /* verilator lint_off UNUSEDSIGNAL */
    wire [LANES*LOGIT_WORD-1:0] logits;
    /* verilator lint_on UNUSEDSIGNAL */
    wire logits_valid, logits_last;
    assign built_edges_ready = engine_edges_ready && !ends_full;
    stream_fifo #(.BITS(LANES * 2 * INDEX_BITS), .DEPTH_BITS(DEPTH_BITS + 2)) edge_ends (
        .aclk(aclk), .aresetn(aresetn), .put(built_edges_valid && built_edges_ready), .word_in(ends_in),
        .full(ends_full), .take(logits_valid && !ends_empty && scored_ready), .word_out(ends), .empty(ends_empty)
    );

    /* verilator lint_off UNUSEDSIGNAL */
    wire [63:0] engine_status;
    /* verilator lint_on UNUSEDSIGNAL */
    wire engine_status_valid, faults_full;
    hitfabric_engine engine (
        .aclk(aclk), .aresetn(aresetn), .s_axis_graph_tdata(built_graph), .s_axis_graph_tvalid(header),
        .s_axis_graph_tready(engine_graph_ready), .s_axis_nodes_tdata(node_words), .s_axis_nodes_tvalid(sending),
        .s_axis_nodes_tlast(rows_left == 1), .s_axis_nodes_tready(engine_nodes_ready),
        .s_axis_edges_tdata(built_edges), .s_axis_edges_tvalid(built_edges_valid && !ends_full),
        .s_axis_edges_tlast(built_edges_last), .s_axis_edges_tready(engine_edges_ready),
        .m_axis_edges_tdata(logits), .m_axis_edges_tvalid(logits_valid), .m_axis_edges_tlast(logits_last),
        .m_axis_edges_tready(scored_ready && !ends_empty), .m_axis_status_tdata(engine_status),
        .m_axis_status_tvalid(engine_status_valid), .m_axis_status_tready(!faults_full)
    );

    // ---- Ends and logits together are labelled.
    wire headers_empty, labels_graph_ready, label_status_valid, label_status_ready;
    wire [63:0] label_header, label_status;
    wire [LANES*SCORED_WORD-1:0] scored;
    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane
            assign hit_nodes[l*48 +: 48] = s_axis_hits_tdata[l*56 +: 48];
            assign ends_in[l*2*INDEX_BITS +: 2*INDEX_BITS] = built_edges[l*EDGE_WORD +: 2*INDEX_BITS];
            assign scored[l*SCORED_WORD +: SCORED_WORD] = {
                {(SCORED_WORD-LOGIT_BITS-2*INDEX_BITS){1'b0}}, logits[l*LOGIT_WORD +: LOGIT_BITS],
                ends[l*2*INDEX_BITS +: 2*INDEX_BITS]};
        end
    endgenerate
    stream_fifo #(.BITS(64), .DEPTH_BITS(GRAPH_BITS)) headers (
        .aclk(aclk), .aresetn(aresetn), .put(built_graph_ready), .word_in(built_graph), .full(headers_full),
        .take(labels_graph_ready && !headers_empty), .word_out(label_header), .empty(headers_empty)
    );
    component_labels #(
        .MAX_NODES(MAX_NODES), .MAX_EDGES(MAX_EDGES), .LANES(LANES), .MERGES(MERGES), .LABEL_LANES(LABEL_LANES),
        .LOGIT_BITS(LOGIT_BITS), .THRESHOLD(THRESHOLD), .FIFO_BITS(DEPTH_BITS)
    ) labelling (
        .aclk(aclk), .aresetn(aresetn), .s_axis_graph_tdata(label_header), .s_axis_graph_tvalid(!headers_empty),
        .s_axis_graph_tready(labels_graph_ready), .s_axis_edges_tdata(scored),
        .s_axis_edges_tvalid(logits_valid && !ends_empty), .s_axis_edges_tlast(logits_last),
        .s_axis_edges_tready(scored_ready), .m_axis_labels_tdata(m_axis_labels_tdata),
        .m_axis_labels_tvalid(m_axis_labels_tvalid), .m_axis_labels_tlast(m_axis_labels_tlast),
        .m_axis_labels_tready(m_axis_labels_tready), .m_axis_status_tdata(label_status),
        .m_axis_status_tvalid(label_status_valid), .m_axis_status_tready(label_status_ready)
    );

    // ---- One status per graph, in the order of the graphs: what the builder said, and faults of what follows it.
    wire [35:0] report;
    wire reports_empty, faults_empty, fault;
    wire report_refused = report[33:32] != 2'd0;
    wire ended = !reports_empty && (report_refused || (label_status_valid && !faults_empty));
    wire status_out = m_axis_status_tvalid && m_axis_status_tready;
    assign m_axis_status_tvalid = ended;
    assign m_axis_status_tdata = {
        27'd0, !report_refused && (fault || label_status[63:32] != 0 || label_status[31:0] != report[31:0]), report};
    assign label_status_ready = status_out && !report_refused;
    stream_fifo #(.BITS(36), .DEPTH_BITS(GRAPH_BITS)) reports (
        .aclk(aclk), .aresetn(aresetn), .put(built_status_valid && built_status_ready), .word_in(built_status[35:0]),
        .full(reports_full), .take(status_out), .word_out(report), .empty(reports_empty)
    );
    stream_fifo #(.BITS(1), .DEPTH_BITS(GRAPH_BITS)) faults (
        .aclk(aclk), .aresetn(aresetn), .put(engine_status_valid && !faults_full),
        .word_in(engine_status[63:32] != 0), .full(faults_full), .take(label_status_ready), .word_out(fault),
        .empty(faults_empty)
    );
endmodule
