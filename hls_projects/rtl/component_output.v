// A copy of all labels that leaves LABEL_LANES per beat, then the status of the graph.
module component_output #(
    parameter integer MAX_NODES = 256,
    parameter integer LABEL_LANES = 8,
    parameter integer LABEL_BITS = 8,
    parameter integer INDEX_BITS = 9,
    parameter integer LABEL_WORD = 16
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire load,
    output wire free,
    input  wire [MAX_NODES*LABEL_BITS-1:0] labels,
    input  wire [MAX_NODES-1:0] in_track,
    input  wire [INDEX_BITS-1:0] nodes,
    input  wire [63:0] status,
    output wire [LABEL_LANES*LABEL_WORD-1:0] m_axis_labels_tdata,
    output wire m_axis_labels_tvalid,
    output wire m_axis_labels_tlast,
    input  wire m_axis_labels_tready,
    output wire [63:0] m_axis_status_tdata,
    output wire m_axis_status_tvalid,
    input  wire m_axis_status_tready
);
    localparam integer BEATS = (MAX_NODES + LABEL_LANES - 1) / LABEL_LANES;
    localparam integer PLACES = BEATS * LABEL_LANES;
    localparam [31:0] NO_TRACK = (1 << INDEX_BITS) - 1;
    localparam integer B = LABEL_BITS + 1;  // label, and whether there is one

    reg busy;
    reg [INDEX_BITS-1:0] left;  // nodes whose labels have not left
    reg [63:0] graph_status;
    reg [PLACES*B-1:0] copy;
    wire [PLACES*B-1:0] fresh;
    wire shift = m_axis_labels_tvalid && m_axis_labels_tready;
    wire done = m_axis_status_tvalid && m_axis_status_tready;
    wire [31:0] left_wide = {{(32-INDEX_BITS){1'b0}}, left};

    assign free = !busy || done;
    assign m_axis_labels_tvalid = busy && left != 0;
    assign m_axis_labels_tlast = left_wide <= LABEL_LANES;
    assign m_axis_status_tvalid = busy && left == 0;
    assign m_axis_status_tdata = graph_status;

    genvar i;
    generate
        for (i = 0; i < PLACES; i = i + 1) begin : place
            if (i < MAX_NODES) begin : node
                assign fresh[i*B +: B] = {in_track[i], labels[i*LABEL_BITS +: LABEL_BITS]};
            end else begin : none
                assign fresh[i*B +: B] = {B{1'b0}};
            end
        end
        for (i = 0; i < LABEL_LANES; i = i + 1) begin : lane
            wire track = copy[i*B + LABEL_BITS];
            /* verilator lint_off UNUSEDSIGNAL */
            wire [31:0] word = track ? {{(32-LABEL_BITS){1'b0}}, copy[i*B +: LABEL_BITS]} : NO_TRACK;
            /* verilator lint_on UNUSEDSIGNAL */
            assign m_axis_labels_tdata[i*LABEL_WORD +: LABEL_WORD] = word[LABEL_WORD-1:0];
        end
    endgenerate

    always @(posedge aclk) begin
        if (!aresetn) begin
            busy <= 1'b0;
            left <= 0;
        end else if (load) begin
            busy <= 1'b1;
            left <= nodes;
        end else begin
            if (done) busy <= 1'b0;
            if (shift) left <= m_axis_labels_tlast ? 0 : left - LABEL_LANES[INDEX_BITS-1:0];
        end
        if (load) graph_status <= status;
        if (load) copy <= fresh;
        else if (shift) copy <= copy >> (LABEL_LANES * B);
    end
endmodule
