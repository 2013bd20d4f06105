// A shift register without reset, which tools build from shift-register LUTs.
module hitfabric_delay #(
    parameter WIDTH = 1,
    parameter DEPTH = 1
) (
    input  wire clk,
    input  wire [WIDTH-1:0] d,
    output wire [WIDTH-1:0] q
);
    generate
        if (DEPTH == 0) begin : none
            wire unused_clk = clk;
            assign q = d;
        end else if (DEPTH == 1) begin : one
            reg [WIDTH-1:0] line;
            always @(posedge clk) line <= d;
            assign q = line;
        end else begin : many
            reg [WIDTH*DEPTH-1:0] line;
            always @(posedge clk) line <= {line[WIDTH*(DEPTH-1)-1:0], d};
            assign q = line[WIDTH*DEPTH-1-:WIDTH];
        end
    endgenerate
endmodule
