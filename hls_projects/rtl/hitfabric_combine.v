// Sum or maximum of one feature: an accumulator and a message, or two accumulators. Accumulators that saturate are
// unsigned and saturate at all ones.
module hitfabric_combine #(
    parameter BITS = 8,
    parameter OTHER_BITS = 8,
    parameter OTHER_SIGNED = 0,
    parameter MAXIMUM = 0,
    parameter SATURATE = 0
) (
    input  wire [BITS-1:0] a,
    input  wire [OTHER_BITS-1:0] b,
    output wire [BITS-1:0] y
);
    localparam WIDE = (BITS > OTHER_BITS ? BITS : OTHER_BITS) + 1;
    wire sign = OTHER_SIGNED != 0 && b[OTHER_BITS-1];
    wire [WIDE-1:0] left = {{(WIDE - BITS) {1'b0}}, a};
    wire [WIDE-1:0] right = {{(WIDE - OTHER_BITS) {sign}}, b};
    generate
        if (MAXIMUM != 0) begin : maximum
            wire larger = !sign && right > left;
            wire [WIDE-1:0] chosen = larger ? right : left;
            wire unused = |chosen[WIDE-1:BITS];
            assign y = chosen[BITS-1:0];
        end else begin : sum
            wire [WIDE-1:0] total = left + right;
            wire over = SATURATE != 0 && |total[WIDE-1:BITS];
            assign y = total[BITS-1:0] | {BITS{over}};
        end
    endgenerate
endmodule
