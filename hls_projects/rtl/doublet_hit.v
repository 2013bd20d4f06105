// What the search and the cuts need of one hit, in LATENCY cycles, a new hit every cycle.
//
// low and high are phi -+ slope * r, modulo a turn: two hits are within the phi window where low and high of one change
// places with those of the other. eta comes from tables: asinh of a quotient that is a difference of logarithms.
module doublet_hit #(
    parameter integer LAYERS = 18,
    parameter integer LAYER_BITS = 5,
    parameter integer R_BITS = 13,
    parameter integer ANGLE_BITS = 18,
    parameter integer SLOPE = 782,        // phi per r, in 2^-SLOPE_BITS
    parameter integer SLOPE_BITS = 12
) (
    input  wire aclk,
    input  wire given,
    input  wire [15:0] r,
    /* verilator lint_off UNUSEDSIGNAL */
    input  wire [15:0] phi,  // modulo a turn
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire [15:0] z,
    input  wire [7:0] layer,
    output reg  valid,       // given, and within the ranges of r and layer
    output reg  bad,         // given, and not
    output reg  [LAYER_BITS-1:0] hit_layer,
    output reg  [ANGLE_BITS-1:0] low,
    output reg  [ANGLE_BITS-1:0] high,
    output reg  [R_BITS+46:0] place  // r, phi modulo a turn, z, eta; r lowest
);
    localparam integer TURN = 15 + SLOPE_BITS;   // bits of a turn with the fraction of the slope
    localparam integer DROP = TURN - ANGLE_BITS;
    localparam integer LATENCY = 5;

    // Delays of what is not computed here.
    reg [LATENCY-2:0] ok, wrong;
    reg [15:0] delayed_z [1:LATENCY-1];
    reg [14:0] delayed_phi [1:LATENCY-1];
    reg [R_BITS-1:0] delayed_r [1:LATENCY-1];
    reg [LAYER_BITS-1:0] delayed_layer [1:LATENCY-1];
    wire in_range = {24'd0, layer} < LAYERS && r[15:R_BITS] == 0;
    integer n;
    always @(posedge aclk) begin
        ok <= {ok[LATENCY-3:0], given && in_range};
        wrong <= {wrong[LATENCY-3:0], given && !in_range};
        delayed_z[1] <= z;
        delayed_phi[1] <= phi[14:0];
        delayed_r[1] <= r[R_BITS-1:0];
        delayed_layer[1] <= layer[LAYER_BITS-1:0];
        for (n = 2; n < LATENCY; n = n + 1) begin
            delayed_z[n] <= delayed_z[n-1];
            delayed_phi[n] <= delayed_phi[n-1];
            delayed_r[n] <= delayed_r[n-1];
            delayed_layer[n] <= delayed_layer[n-1];
        end
        valid <= ok[LATENCY-2];
        bad <= wrong[LATENCY-2];
        hit_layer <= delayed_layer[LATENCY-1];
    end

    // phi -+ slope * r: computed in stage 2 of LATENCY.
    wire [TURN-1:0] wide_phi = {delayed_phi[1], {SLOPE_BITS{1'b0}}};
    wire [TURN-1:0] step = {{(TURN-R_BITS){1'b0}}, delayed_r[1]} * SLOPE[TURN-1:0];
    /* verilator lint_off UNUSEDSIGNAL */
    reg [TURN-1:0] lower, upper;
    /* verilator lint_on UNUSEDSIGNAL */
    reg [ANGLE_BITS-1:0] lower_3, upper_3, lower_4, upper_4;
    always @(posedge aclk) begin
        lower <= wide_phi - step;
        upper <= wide_phi + step;
        lower_3 <= lower[DROP +: ANGLE_BITS];
        upper_3 <= upper[DROP +: ANGLE_BITS];
        lower_4 <= lower_3;
        upper_4 <= upper_3;
        low <= lower_4;
        high <= upper_4;
    end

    // eta = asinh(z / r): logarithms to base 2 in 2^-10 (stage 2), their difference (3), its table (4).
    function [15:0] magnitude;  // at least 1, at most 2^15 - 1
        input [15:0] value;
        reg [15:0] positive;
        begin
            positive = value[15] ? -value : value;
            magnitude = positive[15] ? 16'h7fff : positive == 16'd0 ? 16'd1 : positive;
        end
    endfunction
    /* verilator lint_off UNUSEDSIGNAL */
    function [11:0] floating;  // exponent and 8 bits after the leading one
        input [15:0] value;
        integer k;
        reg [15:0] aligned;
        begin
            floating = 12'd0;
            for (k = 0; k < 16; k = k + 1)
                if (value[k]) begin
                    aligned = value << (15 - k);
                    floating = {k[3:0], aligned[14:7]};
                end
        end
    endfunction
    /* verilator lint_on UNUSEDSIGNAL */
    wire [11:0] z_parts = floating(magnitude(delayed_z[1]));
    wire [11:0] r_parts = floating(magnitude({{(16-R_BITS){1'b0}}, delayed_r[1]}));
    wire [9:0] z_fraction, r_fraction;
    doublet_log2 z_log (.mantissa(z_parts[7:0]), .fraction(z_fraction));
    doublet_log2 r_log (.mantissa(r_parts[7:0]), .fraction(r_fraction));
    reg signed [15:0] log_z, log_r, ratio;
    wire signed [15:0] from_low = ratio + 16'sd8192;  // the table begins at a ratio of 2^-8
    wire [9:0] entry = from_low < 0 ? 10'd0 : from_low > 16'sd14335 ? 10'd895 : from_low[13:4];
    wire [14:0] eta;
    reg [14:0] eta_4;
    doublet_eta eta_table (.entry(entry), .eta(eta));
    wire [15:0] signed_eta = delayed_z[LATENCY-1][15] ? -{1'b0, eta_4} : {1'b0, eta_4};
    always @(posedge aclk) begin
        log_z <= {2'd0, z_parts[11:8], z_fraction};
        log_r <= {2'd0, r_parts[11:8], r_fraction};
        ratio <= log_z - log_r;
        eta_4 <= eta;
        place <= {signed_eta, delayed_z[LATENCY-1], delayed_phi[LATENCY-1], delayed_r[LATENCY-1]};
    end
endmodule
