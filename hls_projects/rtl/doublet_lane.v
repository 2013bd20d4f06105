// Pairs of one sender lane and two rows: waits in a FIFO, takes one pair per cycle, applies the exact cuts and computes features.
//   z0         |z_i r_j - r_i z_j| < Z0 |dr|, the straight line in (r, z) meets the beam within Z0
//   cylinder   the line does not meet the barrel layer between the two (doublet_cylinder)
//   phi        less than a quarter of a turn apart, beyond which the search does not tell
module doublet_lane #(
    parameter integer LANES = 8,
    parameter integer LANE_BITS = 3,
    parameter integer LANE = 0,
    parameter integer ROW_BITS = 5,
    parameter integer LAYER_BITS = 5,
    parameter integer R_BITS = 13,
    parameter integer Z0 = 245760,
    parameter integer FIFO_BITS = 6,
    parameter integer INDEX_BITS = 9,
    parameter integer HIT_BITS = LAYER_BITS + R_BITS + 47,
    parameter integer NODE_BITS = ROW_BITS + LANE_BITS
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire write,
    input  wire [ROW_BITS:0] write_place,  // bank and row
    input  wire [LANES*HIT_BITS-1:0] write_hits,  // layer, eta, z, phi, r; r lowest
    input  wire found_valid,
    input  wire found_bank,
    input  wire [ROW_BITS-2:0] found_group,
    input  wire [ROW_BITS-1:0] found_row,
    input  wire [2*LANES-1:0] found,
    output wire nearly_full,
    input  wire hold,     // no pair is taken
    input  wire open,     // pairs of this bank are taken, no others
    input  wire bank,
    output wire quiet,    // there are none left
    output wire [4:0] coming,  // pairs on the way, which may give an edge in this cycle and the four that follow
    output reg  edge_valid,
    output reg  [2*INDEX_BITS+63:0] edge_word
);
    localparam integer ENTRY = 2 * LANES + 2 * ROW_BITS;
    localparam integer ROOM = (1 << FIFO_BITS) - 4;  // pairs of rows under way when the search is told to hold

    // ---- FIFO of pairs of rows, and the pairs of hits that are left of the one in work.
    reg [ENTRY-1:0] memory [0:(1<<FIFO_BITS)-1];
    reg [FIFO_BITS:0] write_count, read_count;
    reg [2*LANES-1:0] left;
    reg [ROW_BITS-1:0] row;
    reg [ROW_BITS-2:0] group;
    reg [LANE_BITS:0] chosen;
    reg [3:0] valid;  // address, hits, differences, sums
    wire [FIFO_BITS:0] fill = write_count - read_count;
    wire go = left != 0 && !hold;
    wire [2*LANES-1:0] rest = go ? left & (left - 1'b1) : left;
    wire put = found_valid && found != 0;
    wire [ENTRY-1:0] head = memory[read_count[FIFO_BITS-1:0]];
    wire ours = fill != 0 && head[ENTRY-1] == bank;
    wire take = rest == 0 && ours && open;
    assign quiet = left == 0 && !ours;
    assign coming = {valid, edge_valid};
    assign nearly_full = {{(31-FIFO_BITS){1'b0}}, fill} >= ROOM;
    integer k;
    always @* begin
        chosen = {(LANE_BITS+1){1'b0}};
        for (k = 2 * LANES - 1; k >= 0; k = k - 1) if (left[k]) chosen = k[LANE_BITS:0];
    end
    always @(posedge aclk) begin
        if (put) memory[write_count[FIFO_BITS-1:0]] <= {found_bank, found_group, found_row, found};
        if (!aresetn) begin
            write_count <= 0;
            read_count <= 0;
            left <= 0;
        end else begin
            if (put) write_count <= write_count + 1'b1;
            if (take) read_count <= read_count + 1'b1;
            left <= take ? head[2*LANES-1:0] : rest;
        end
        if (take) {group, row} <= head[ENTRY-2:2*LANES];
    end

    // ---- Address.
    reg [ROW_BITS-1:0] sender_row, receiver_row;
    reg [LANE_BITS-1:0] receiver_lane;
    always @(posedge aclk) begin
        valid <= aresetn ? {valid[2:0], go} : 4'd0;
        sender_row <= {group, chosen[LANE_BITS]};
        receiver_row <= row;
        receiver_lane <= chosen[LANE_BITS-1:0];
    end

    // ---- Hits: the sender from its own lane, the receiver from any.
    reg [HIT_BITS-1:0] sender_memory [0:(2<<ROW_BITS)-1];
    wire [LANES*HIT_BITS-1:0] receivers;
    reg [HIT_BITS-1:0] sender, receiver;
    reg [NODE_BITS-1:0] sender_2, receiver_2, sender_3, receiver_3, sender_4, receiver_4;
    localparam [LANE_BITS-1:0] OWN = LANE[LANE_BITS-1:0];
    genvar b;
    generate
        for (b = 0; b < LANES; b = b + 1) begin : other
            reg [HIT_BITS-1:0] receiver_memory [0:(2<<ROW_BITS)-1];
            always @(posedge aclk) if (write) receiver_memory[write_place] <= write_hits[b*HIT_BITS +: HIT_BITS];
            assign receivers[b*HIT_BITS +: HIT_BITS] = receiver_memory[{bank, receiver_row}];
        end
    endgenerate
    always @(posedge aclk) begin
        if (write) sender_memory[write_place] <= write_hits[LANE*HIT_BITS +: HIT_BITS];
        sender <= sender_memory[{bank, sender_row}];
        receiver <= receivers[receiver_lane*HIT_BITS +: HIT_BITS];
        sender_2 <= {sender_row, OWN};
        receiver_2 <= {receiver_row, receiver_lane};
        sender_3 <= sender_2;
        receiver_3 <= receiver_2;
        sender_4 <= sender_3;
        receiver_4 <= receiver_3;
    end

    // ---- Differences, and products of half of r's bits.
    localparam integer HALF = R_BITS / 2;
    localparam integer WIDE = 40;
    wire [LAYER_BITS-1:0] layer_i, layer_j;
    wire signed [15:0] eta_i, eta_j, z_i, z_j;
    wire [14:0] phi_i, phi_j;
    wire [R_BITS-1:0] r_i, r_j;
    assign {layer_i, eta_i, z_i, phi_i, r_i} = sender;
    assign {layer_j, eta_j, z_j, phi_j, r_j} = receiver;
    wire signed [R_BITS:0] dr_now = {1'b0, r_j} - {1'b0, r_i};
    wire signed [16:0] dz_now = {z_j[15], z_j} - {z_i[15], z_i};
    wire signed [16:0] deta_now = {eta_j[15], eta_j} - {eta_i[15], eta_i};
    wire signed [WIDE-1:0] wide_z_i = {{(WIDE-16){z_i[15]}}, z_i};
    wire signed [WIDE-1:0] wide_z_j = {{(WIDE-16){z_j[15]}}, z_j};
    wire signed [WIDE-1:0] radius_dz_now, length_dr_now;
    wire blocked_now;
    wire [R_BITS:0] step_now = dr_now < 0 ? -dr_now : dr_now;
    doublet_cylinder cylinder (
        .inner(layer_i), .outer(layer_j), .dz({{(WIDE-17){dz_now[16]}}, dz_now}),
        .step({{(WIDE-R_BITS-1){1'b0}}, step_now}), .used(blocked_now), .radius_dz(radius_dz_now),
        .length_step(length_dr_now)
    );
    reg signed [R_BITS:0] dr;
    reg signed [16:0] dz, deta;
    reg signed [14:0] dphi;
    reg signed [WIDE-1:0] i_low, i_high, j_low, j_high, radius_dz, length_dr;
    reg blocked;
    always @(posedge aclk) begin
        dr <= dr_now;
        dz <= dz_now;
        deta <= deta_now;
        dphi <= phi_j - phi_i;
        i_low <= wide_z_i * $signed({{(WIDE-HALF){1'b0}}, r_j[HALF-1:0]});
        i_high <= wide_z_i * $signed({{(WIDE-R_BITS+HALF){1'b0}}, r_j[R_BITS-1:HALF]});
        j_low <= wide_z_j * $signed({{(WIDE-HALF){1'b0}}, r_i[HALF-1:0]});
        j_high <= wide_z_j * $signed({{(WIDE-R_BITS+HALF){1'b0}}, r_i[R_BITS-1:HALF]});
        radius_dz <= radius_dz_now;
        length_dr <= length_dr_now;
        blocked <= blocked_now;
    end

    // ---- Sums.
    wire [R_BITS:0] step = dr < 0 ? -dr : dr;
    wire [16:0] eta_step = deta < 0 ? -deta : deta;
    wire [14:0] phi_step = dphi < 0 ? -dphi : dphi;
    wire [22:0] radians = {8'd0, phi_step} * 23'd201;  // pi / 4 of a grid of 2^14 to half a turn in one of 2^12 to a rad
    reg signed [WIDE-1:0] moment, limit, radius_dz_4, length_dr_4;
    reg blocked_4, near_4;
    reg [47:0] differences;
    reg [16:0] larger, smaller;
    wire [16:0] radian_step = {2'd0, radians[22:8]};
    /* verilator lint_off UNUSEDSIGNAL */
    wire unused = &{1'b0, radians[7:0], dr[1:0], dz[1:0], dphi[1:0], smaller[0]};
    /* verilator lint_on UNUSEDSIGNAL */
    always @(posedge aclk) begin
        moment <= i_low - j_low + ((i_high - j_high) <<< HALF);
        limit <= {{(WIDE-R_BITS-1){1'b0}}, step} * Z0[WIDE-1-8:0];
        radius_dz_4 <= radius_dz;
        length_dr_4 <= length_dr;
        blocked_4 <= blocked;
        near_4 <= dphi[14] == dphi[13];
        differences <= {dz[16], dz[16:2], {3{dphi[14]}}, dphi[14:2], {(17-R_BITS){dr[R_BITS]}}, dr[R_BITS:2]};
        larger <= eta_step > radian_step ? eta_step : radian_step;
        smaller <= eta_step > radian_step ? radian_step : eta_step;
    end

    // ---- Decision; the length of (deta, dphi) is the larger side, or 7/8 of it and half of the smaller one.
    wire signed [WIDE-1:0] at_cylinder = moment + radius_dz_4;
    wire clear_of_cylinder = at_cylinder >= length_dr_4 || at_cylinder <= -length_dr_4;
    wire [17:0] slanted = {1'b0, larger} - {4'd0, larger[16:3]} + {2'd0, smaller[16:1]};
    wire [17:0] distance = slanted > {1'b0, larger} ? slanted : {1'b0, larger};
    wire [15:0] distance_16 = |distance[17:15] ? 16'h7fff : distance[15:0];
    always @(posedge aclk) begin
        edge_valid <= aresetn && valid[3] && near_4 && moment < limit && moment > -limit
            && (!blocked_4 || clear_of_cylinder);
        edge_word <= {distance_16, differences, {{(INDEX_BITS-NODE_BITS){1'b0}}, receiver_4},
                      {{(INDEX_BITS-NODE_BITS){1'b0}}, sender_4}};
    end
endmodule
