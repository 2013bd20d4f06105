// Takes the rows of one graph after the other from an AXI4-Stream: as many beats as the header says, and one token
// without a beat for a graph without rows. Beats of a graph that is too large are taken and dropped.
module hitfabric_entry #(
    parameter LANES = 8,
    parameter BEAT_BITS = 5,
    parameter GRAPH_BITS = 4
) (
    input  wire clk,
    input  wire rst,
    input  wire [15:0] count,       // rows of this graph that the header announces
    input  wire drop,               // the graph is too large
    input  wire enter,              // its header is here
    input  wire start,              // there is a buffer for the graph
    input  wire room,               // there is room for a beat
    input  wire tvalid,
    output wire tready,
    output wire issue,
    output wire full,               // the beat holds rows, and they are kept
    output wire last,
    output reg  [BEAT_BITS-1:0] beat,
    output wire [LANES-1:0] lanes,  // which of them hold rows
    output reg  [GRAPH_BITS-1:0] graph
);
    localparam [15:0] STEP = LANES;
    reg running;
    reg [15:0] remaining;
    wire [15:0] left = running ? remaining : count;
    wire empty = left == 16'd0;
    wire allowed = enter && room && (running || start);
    genvar i;
    assign tready = allowed && !empty;
    assign issue = allowed && (empty || tvalid);
    assign full = !empty && !drop;
    assign last = left <= STEP;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lane
            localparam [15:0] NUMBER = i;
            assign lanes[i] = left > NUMBER;
        end
    endgenerate
    always @(posedge clk)
        if (rst) begin
            running <= 1'b0;
            remaining <= 16'd0;
            beat <= {BEAT_BITS{1'b0}};
            graph <= {GRAPH_BITS{1'b0}};
        end else if (issue) begin
            running <= !last;
            remaining <= left - STEP;
            beat <= last ? {BEAT_BITS{1'b0}} : beat + {{(BEAT_BITS-1){1'b0}}, 1'b1};
            if (last) graph <= graph + {{(GRAPH_BITS-1){1'b0}}, 1'b1};
        end
endmodule
