// Combines the accumulators of all lanes, a register after every second level of the tree and after the last. Sums
// grow by a bit at each level, and saturate once at the end.
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
    localparam LAST = BITS + (SATURATE != 0 ? LEVELS : 0);
    genvar s, i, v;
    generate
        if (LEVELS == 0) begin : direct
            wire unused = clk;
        end
        for (s = 0; s <= LEVELS; s = s + 1) begin : level
            localparam COUNT = (LANES + (1 << s) - 1) >> s;
            localparam WIDE = BITS + (SATURATE != 0 ? s : 0);
            wire [COUNT*VALUES*WIDE-1:0] value;
            if (s == 0) begin : source
                assign value = parts;
            end else begin : tree
                localparam BELOW = (LANES + (1 << (s - 1)) - 1) >> (s - 1);
                localparam NARROW = BITS + (SATURATE != 0 ? s - 1 : 0);
                wire [COUNT*VALUES*WIDE-1:0] next;
                for (i = 0; i < COUNT * VALUES; i = i + 1) begin : node
                    localparam LEFT = 2 * (i / VALUES) * VALUES + i % VALUES;
                    wire [WIDE-1:0] left;
                    hitfabric_extend #(.COUNT(1), .FROM(NARROW), .TO(WIDE)) widen (
                        .d(level[s-1].value[LEFT*NARROW+:NARROW]), .q(left));
                    if (2 * (i / VALUES) + 1 < BELOW) begin : pair
                        hitfabric_combine #(
                            .BITS(WIDE), .OTHER_BITS(NARROW), .OTHER_SIGNED(0), .MAXIMUM(MAXIMUM), .SATURATE(0)
                        ) combine (
                            .a(left), .b(level[s-1].value[(LEFT+VALUES)*NARROW+:NARROW]), .y(next[i*WIDE+:WIDE]));
                    end else begin : single
                        assign next[i*WIDE+:WIDE] = left;
                    end
                end
                hitfabric_delay #(
                    .WIDTH(COUNT * VALUES * WIDE), .DEPTH((s % 2 == 0 || s == LEVELS) ? 1 : 0)
                ) register (.clk(clk), .d(next), .q(value));
            end
        end
        for (v = 0; v < VALUES; v = v + 1) begin : kept
            wire [LAST-1:0] whole = level[LEVELS].value[v*LAST+:LAST];
            if (LAST > BITS) begin : saturate
                assign total[v*BITS+:BITS] = whole[BITS-1:0] | {BITS{|whole[LAST-1:BITS]}};
            end else begin : as_it_is
                assign total[v*BITS+:BITS] = whole;
            end
        end
    endgenerate
endmodule
