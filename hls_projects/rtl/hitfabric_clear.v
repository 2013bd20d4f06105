// Goes through all addresses once after reset.
module hitfabric_clear #(
    parameter BITS = 5
) (
    input  wire clk,
    input  wire rst,
    output wire busy,
    output wire [BITS-1:0] address
);
    reg [BITS:0] count;
    always @(posedge clk)
        if (rst) count <= {(BITS + 1) {1'b0}};
        else if (busy) count <= count + {{BITS{1'b0}}, 1'b1};
    assign busy = !count[BITS];
    assign address = count[BITS-1:0];
endmodule
