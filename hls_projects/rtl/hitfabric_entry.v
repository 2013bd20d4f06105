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
    output wire [BEAT_BITS-1:0] beat,
    output wire [LANES-1:0] lanes,  // which of them hold rows
    output wire [GRAPH_BITS-1:0] graph
);
    wire running;
    wire [15:0] left;
    wire empty = left == 16'd0;
    wire allowed = enter && room && (running || start);
    genvar i;
    assign tready = allowed && !empty;
    assign issue = allowed && (empty || tvalid);
    assign full = !empty && !drop;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lane
            localparam [15:0] NUMBER = i;
            assign lanes[i] = left > NUMBER;
        end
    endgenerate
    hitfabric_row_count #(.LANES(LANES), .BEAT_BITS(BEAT_BITS), .GRAPH_BITS(GRAPH_BITS)) rows (
        .clk(clk), .rst(rst), .count(count), .issue(issue), .running(running), .left(left), .last(last), .beat(beat),
        .graph(graph));
endmodule
