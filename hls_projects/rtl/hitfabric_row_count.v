// Counts the rows of one graph after the other, a beat of LANES rows at a time; a graph without rows is one empty beat.
module hitfabric_row_count #(
    parameter LANES = 8,
    parameter BEAT_BITS = 5,
    parameter GRAPH_BITS = 4
) (
    input  wire clk,
    input  wire rst,
    input  wire [15:0] count,  // rows of this graph
    input  wire issue,         // the beat goes
    output reg  running,       // beats of this graph have gone
    output wire [15:0] left,   // rows that have not
    output wire last,
    output reg  [BEAT_BITS-1:0] beat,
    output reg  [GRAPH_BITS-1:0] graph
);
    localparam [15:0] STEP = LANES;
    reg [15:0] remaining;
    assign left = running ? remaining : count;
    assign last = left <= STEP;
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
