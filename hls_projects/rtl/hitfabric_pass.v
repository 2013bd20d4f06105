// Issues the rows of one graph after the other, a beat of LANES rows per cycle; a graph without rows is one empty beat.
module hitfabric_pass #(
    parameter LANES = 8,
    parameter BEAT_BITS = 5,
    parameter GRAPH_BITS = 4
) (
    input  wire clk,
    input  wire rst,
    input  wire [15:0] count,  // rows of this graph
    input  wire start,         // what the graph needs is there, and so is a buffer for what it becomes
    input  wire room,          // this beat may go
    output wire issue,
    output wire full,          // the beat holds rows
    output wire last,
    output wire [BEAT_BITS-1:0] beat,
    output wire [GRAPH_BITS-1:0] graph
);
    wire running;
    wire unused = running;
    wire [15:0] left;
    assign issue = start && room;
    assign full = left != 16'd0;
    hitfabric_row_count #(.LANES(LANES), .BEAT_BITS(BEAT_BITS), .GRAPH_BITS(GRAPH_BITS)) rows (
        .clk(clk), .rst(rst), .count(count), .issue(issue), .running(running), .left(left), .last(last), .beat(beat),
        .graph(graph));
endmodule
