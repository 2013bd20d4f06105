// All pairs of one sender lane: a doublet_lane for each two rows of a group, and one edge per cycle of both.
//
// With two of them the edges of the second wait in a FIFO while the first gives one, and hold it up when that is full.
module doublet_cuts #(
    parameter integer LANES = 8,
    parameter integer LANE_BITS = 3,
    parameter integer LANE = 0,
    parameter integer ROW_BITS = 5,
    parameter integer GROUP_BITS = 1,
    parameter integer LAYER_BITS = 5,
    parameter integer R_BITS = 13,
    parameter integer Z0 = 245760,
    parameter integer FIFO_BITS = 6,
    parameter integer INDEX_BITS = 9,
    parameter integer HIT_BITS = LAYER_BITS + R_BITS + 47
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire write,
    input  wire [ROW_BITS:0] write_place,
    input  wire [LANES*HIT_BITS-1:0] write_hits,
    input  wire found_valid,
    input  wire found_bank,
    input  wire [ROW_BITS-GROUP_BITS-1:0] found_group,
    input  wire [ROW_BITS-1:0] found_row,
    input  wire [(LANES<<GROUP_BITS)-1:0] found,
    output wire nearly_full,
    input  wire open,
    input  wire bank,
    output wire quiet,  // no pair left, and the last edge comes within CUT_STAGES of doublet_builder
    output wire edge_valid,
    output wire [2*INDEX_BITS+63:0] edge_word
);
    localparam integer UNITS = 1 << (GROUP_BITS - 1);
    localparam integer WORD = 2 * INDEX_BITS + 64;
    localparam integer WAIT_BITS = 5;                      // log2 of the edges that wait
    localparam integer ROOM = (1 << WAIT_BITS) - 6;        // edges under way when the second is told to hold

    wire [UNITS-1:0] unit_full, unit_quiet, unit_valid, unit_hold;
    wire [UNITS*5-1:0] coming;
    wire [UNITS*WORD-1:0] unit_words;
    assign nearly_full = |unit_full;
    genvar u;
    generate
        for (u = 0; u < UNITS; u = u + 1) begin : unit
            localparam [31:0] UNIT = u;
            wire [ROW_BITS-2:0] rows;
            if (UNITS == 1) begin : whole
                assign rows = found_group;
            end else begin : half
                assign rows = {found_group, UNIT[0]};
            end
            doublet_lane #(
                .LANES(LANES), .LANE_BITS(LANE_BITS), .LANE(LANE), .ROW_BITS(ROW_BITS), .LAYER_BITS(LAYER_BITS),
                .R_BITS(R_BITS), .Z0(Z0), .FIFO_BITS(FIFO_BITS), .INDEX_BITS(INDEX_BITS)
            ) pairs (
                .aclk(aclk), .aresetn(aresetn), .write(write), .write_place(write_place), .write_hits(write_hits),
                .found_valid(found_valid), .found_bank(found_bank), .found_group(rows), .found_row(found_row),
                .found(found[u*2*LANES +: 2*LANES]), .nearly_full(unit_full[u]), .hold(unit_hold[u]), .open(open),
                .bank(bank), .quiet(unit_quiet[u]), .coming(coming[u*5 +: 5]), .edge_valid(unit_valid[u]),
                .edge_word(unit_words[u*WORD +: WORD])
            );
        end

        if (UNITS == 1) begin : one
            /* verilator lint_off UNUSEDSIGNAL */
            wire unused = &coming;
            /* verilator lint_on UNUSEDSIGNAL */
            assign unit_hold = 1'b0;
            assign quiet = unit_quiet[0];
            assign edge_valid = unit_valid[0];
            assign edge_word = unit_words;
        end else begin : two
            reg [WORD-1:0] memory [0:(1<<WAIT_BITS)-1];
            reg [WAIT_BITS:0] written, read;
            wire [WAIT_BITS:0] fill = written - read;
            wire take = fill != 0 && !unit_valid[0];
            assign unit_hold = {{{(31-WAIT_BITS){1'b0}}, fill} >= ROOM, 1'b0};
            // Five edges are out within seven cycles, whenever they come; the first of the next graph takes eight.
            reg [WAIT_BITS:0] remaining;
            integer k;
            always @* begin
                remaining = fill;
                for (k = 0; k < 5 * UNITS; k = k + 1) remaining = remaining + {{WAIT_BITS{1'b0}}, coming[k]};
            end
            assign quiet = &unit_quiet && remaining <= 5;
            assign edge_valid = unit_valid[0] || fill != 0;
            assign edge_word = unit_valid[0] ? unit_words[0 +: WORD] : memory[read[WAIT_BITS-1:0]];
            always @(posedge aclk) begin
                if (unit_valid[1]) memory[written[WAIT_BITS-1:0]] <= unit_words[WORD +: WORD];
                if (!aresetn) begin
                    written <= 0;
                    read <= 0;
                end else begin
                    if (unit_valid[1]) written <= written + 1'b1;
                    if (take) read <= read + 1'b1;
                end
            end
        end
    endgenerate
endmodule
