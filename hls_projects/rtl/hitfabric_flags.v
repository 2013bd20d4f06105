// A shift register with reset, for flags that start something.
module hitfabric_flags #(
    parameter WIDTH = 1,
    parameter DEPTH = 1
) (
    input  wire clk,
    input  wire rst,
    input  wire [WIDTH-1:0] d,
    output wire [WIDTH-1:0] q
);
    generate
        if (DEPTH == 0) begin : none
            wire unused = clk | rst;
            assign q = d;
        end else begin : some
            reg [WIDTH-1:0] first;
            wire [WIDTH-1:0] rest;
            always @(posedge clk) first <= rst ? {WIDTH{1'b0}} : d;
            hitfabric_flags #(.WIDTH(WIDTH), .DEPTH(DEPTH - 1)) more (.clk(clk), .rst(rst), .d(first), .q(rest));
            assign q = rest;
        end
    endgenerate
endmodule
