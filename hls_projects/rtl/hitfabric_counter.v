// Counts graphs, modulo twice the number of slots.
module hitfabric_counter #(
    parameter BITS = 4
) (
    input  wire clk,
    input  wire rst,
    input  wire step,
    output reg  [BITS-1:0] count
);
    always @(posedge clk)
        if (rst) count <= {BITS{1'b0}};
        else if (step) count <= count + {{(BITS-1){1'b0}}, 1'b1};
endmodule
