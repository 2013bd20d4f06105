// Connected components of the accepted edges of one graph: edges with logits in, one label per node out.
//
// The label of a node is the smallest index of a node of its component. Nodes without an accepted edge to another node
// get NO_TRACK (all ones). Each cycle up to MERGES edges are resolved in order, and what they join is broadcast to all
// labels at once. While the labels of one graph leave, the edges of the next are already merged.
//
// Streams (AXI4-Stream; lane 0 lowest; lane words padded with zeros to whole bytes):
//   s_axis_graph   nodes [15:0], edges [31:16], tag [63:32]; one beat opens a graph
//   s_axis_edges   ceil(edges / LANES) beats: sender, receiver (INDEX_BITS each), logit (signed); lanes beyond are ignored
//   m_axis_labels  ceil(nodes / LABEL_LANES) beats of labels (INDEX_BITS each); lanes beyond hold NO_TRACK
//   m_axis_status  one beat after the labels: tag [31:0], [32] too many nodes, [33] too many edges,
//                  [34] an index was >= nodes (that edge is skipped), [35] tlast of the edges came at a wrong beat
// Of a graph with too many nodes or edges the beats are swallowed, and only the status comes.
module component_labels #(
    parameter integer MAX_NODES = 256,
    parameter integer MAX_EDGES = 512,
    parameter integer LANES = 8,          // edges of a beat
    parameter integer MERGES = 4,         // edges resolved per cycle; divides LANES
    parameter integer LABEL_LANES = 8,    // labels of a beat
    parameter integer LOGIT_BITS = 17,
    parameter integer THRESHOLD = 0,      // an edge is accepted if its logit is at least this
    parameter integer FIFO_BITS = 6,      // log2 of the accepted edges that wait in each lane
    // Widths that follow; not to be set.
    parameter integer INDEX_BITS = $clog2(MAX_NODES + 1),
    parameter integer EDGE_WORD = (2 * INDEX_BITS + LOGIT_BITS + 7) / 8 * 8,
    parameter integer LABEL_WORD = (INDEX_BITS + 7) / 8 * 8
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire [63:0] s_axis_graph_tdata,
    input  wire s_axis_graph_tvalid,
    output wire s_axis_graph_tready,
    input  wire [LANES*EDGE_WORD-1:0] s_axis_edges_tdata,
    input  wire s_axis_edges_tvalid,
    input  wire s_axis_edges_tlast,
    output wire s_axis_edges_tready,
    output wire [LABEL_LANES*LABEL_WORD-1:0] m_axis_labels_tdata,
    output wire m_axis_labels_tvalid,
    output wire m_axis_labels_tlast,
    input  wire m_axis_labels_tready,
    output wire [63:0] m_axis_status_tdata,
    output wire m_axis_status_tvalid,
    input  wire m_axis_status_tready
);
    localparam integer LABEL_BITS = $clog2(MAX_NODES);
    localparam [1:0] WAIT = 2'd0, TAKE = 2'd1, DRAIN = 2'd2;

    // ---- Control: header, edges, then wait until all merges are done and the label output is free.
    reg [1:0] state;
    reg [INDEX_BITS-1:0] nodes;
    reg [15:0] edges_left;
    reg [31:0] tag;
    reg too_many_nodes, too_many_edges, bad_index, bad_length;
    wire [LANES-1:0] lane_full, lane_empty, lane_bad;
    wire merging, output_free;
    wire header = s_axis_graph_tvalid && s_axis_graph_tready;
    wire beat = s_axis_edges_tvalid && s_axis_edges_tready;
    wire last_beat = edges_left <= LANES[15:0];
    wire over_size = too_many_nodes || too_many_edges;
    wire finish = state == DRAIN && &lane_empty && !merging && output_free;

    assign s_axis_graph_tready = state == WAIT;
    assign s_axis_edges_tready = state == TAKE && !(|lane_full);

    always @(posedge aclk) begin
        if (!aresetn) begin
            state <= WAIT;
            edges_left <= 16'd0;
        end else begin
            if (header) state <= s_axis_graph_tdata[31:16] == 16'd0 ? DRAIN : TAKE;
            if (beat && last_beat) state <= DRAIN;
            if (finish) state <= WAIT;
            if (header) edges_left <= s_axis_graph_tdata[31:16];
            else if (beat) edges_left <= last_beat ? 16'd0 : edges_left - LANES[15:0];
        end
        if (header) begin
            nodes <= s_axis_graph_tdata[INDEX_BITS-1:0];
            tag <= s_axis_graph_tdata[63:32];
            too_many_nodes <= s_axis_graph_tdata[15:0] > MAX_NODES[15:0];
            too_many_edges <= s_axis_graph_tdata[31:16] > MAX_EDGES[15:0];
            bad_index <= 1'b0;
            bad_length <= 1'b0;
        end else if (beat) begin
            bad_index <= bad_index || (|lane_bad);
            bad_length <= bad_length || s_axis_edges_tlast != last_beat;
        end
    end

    // ---- Accepted edges wait in one FIFO per lane; merge unit k takes from LANES / MERGES of them in turn.
    wire [MERGES-1:0] edge_valid;
    wire [MERGES*LABEL_BITS-1:0] edge_sender, edge_receiver;

    component_edges #(
        .LANES(LANES), .MERGES(MERGES), .LOGIT_BITS(LOGIT_BITS), .THRESHOLD(THRESHOLD), .FIFO_BITS(FIFO_BITS),
        .INDEX_BITS(INDEX_BITS), .LABEL_BITS(LABEL_BITS), .EDGE_WORD(EDGE_WORD)
    ) waiting_edges (
        .aclk(aclk), .aresetn(aresetn), .beat(beat && !over_size), .words(s_axis_edges_tdata), .nodes(nodes),
        .edges_left(edges_left), .lane_full(lane_full), .lane_empty(lane_empty), .lane_bad(lane_bad),
        .edge_valid(edge_valid), .edge_sender(edge_sender), .edge_receiver(edge_receiver)
    );

    // ---- Labels of all nodes in registers.
    wire [MAX_NODES*LABEL_BITS-1:0] labels;
    wire [MAX_NODES-1:0] in_track;

    component_registers #(.MAX_NODES(MAX_NODES), .MERGES(MERGES), .LABEL_BITS(LABEL_BITS)) registers (
        .aclk(aclk), .aresetn(aresetn), .clear(finish || !aresetn), .edge_valid(edge_valid), .edge_sender(edge_sender),
        .edge_receiver(edge_receiver), .merging(merging), .labels(labels), .in_track(in_track)
    );

    // ---- Labels leave from a copy.
    component_output #(
        .MAX_NODES(MAX_NODES), .LABEL_LANES(LABEL_LANES), .LABEL_BITS(LABEL_BITS), .INDEX_BITS(INDEX_BITS),
        .LABEL_WORD(LABEL_WORD)
    ) label_output (
        .aclk(aclk), .aresetn(aresetn), .load(finish), .free(output_free), .labels(labels), .in_track(in_track),
        .nodes(over_size ? {INDEX_BITS{1'b0}} : nodes),
        .status({28'd0, bad_length, bad_index && !over_size, too_many_edges, too_many_nodes, tag}),
        .m_axis_labels_tdata(m_axis_labels_tdata), .m_axis_labels_tvalid(m_axis_labels_tvalid),
        .m_axis_labels_tlast(m_axis_labels_tlast), .m_axis_labels_tready(m_axis_labels_tready),
        .m_axis_status_tdata(m_axis_status_tdata), .m_axis_status_tvalid(m_axis_status_tvalid),
        .m_axis_status_tready(m_axis_status_tready)
    );
endmodule
