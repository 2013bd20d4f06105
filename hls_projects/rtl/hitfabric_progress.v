// Beats of the present graph that a pass has written.
module hitfabric_progress #(
    parameter BITS = 6
) (
    input  wire clk,
    input  wire rst,
    input  wire token,
    input  wire last,
    output reg  [BITS:0] beats
);
    always @(posedge clk)
        if (rst || (token && last)) beats <= {(BITS + 1) {1'b0}};
        else if (token) beats <= beats + {{BITS{1'b0}}, 1'b1};
endmodule
