// Combines the accumulators of all lanes, a register after every second level of the tree and after the last.
module hitfabric_lane_total #(
    parameter LANES = 8,
    parameter LEVELS = 3,  // ceil(log2(LANES))
    parameter VALUES = 8,
    parameter BITS = 8,
    parameter MAXIMUM = 0,
    parameter SATURATE = 0
) (
    input  wire clk,
    input  wire [LANES*VALUES*BITS-1:0] parts,
    output wire [VALUES*BITS-1:0] total
);
    genvar s, i, v;
    generate
        if (LEVELS == 0) begin : direct
            wire unused = clk;
        end
        for (s = 0; s <= LEVELS; s = s + 1) begin : level
            localparam COUNT = (LANES + (1 << s) - 1) >> s;
            wire [COUNT*VALUES*BITS-1:0] value;
            if (s == 0) begin : source
                assign value = parts;
            end else begin : tree
                localparam BELOW = (LANES + (1 << (s - 1)) - 1) >> (s - 1);
                wire [COUNT*VALUES*BITS-1:0] next;
                for (i = 0; i < COUNT; i = i + 1) begin : node
                    if (2 * i + 1 < BELOW) begin : pair
                        for (v = 0; v < VALUES; v = v + 1) begin : feature
                            hitfabric_combine #(
                                .BITS(BITS), .OTHER_BITS(BITS), .OTHER_SIGNED(0), .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
                            ) combine (
                                .a(level[s-1].value[(2*i*VALUES+v)*BITS+:BITS]),
                                .b(level[s-1].value[((2*i+1)*VALUES+v)*BITS+:BITS]),
                                .y(next[(i*VALUES+v)*BITS+:BITS]));
                        end
                    end else begin : single
                        assign next[i*VALUES*BITS+:VALUES*BITS] = level[s-1].value[2*i*VALUES*BITS+:VALUES*BITS];
                    end
                end
                hitfabric_delay #(
                    .WIDTH(COUNT * VALUES * BITS), .DEPTH((s % 2 == 0 || s == LEVELS) ? 1 : 0)
                ) register (.clk(clk), .d(next), .q(value));
            end
        end
    endgenerate
    assign total = level[LEVELS].value;
endmodule
