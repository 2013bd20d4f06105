// Packs the edges of all lanes without gaps into one of two memories, from which they leave LANES per beat.
//
// The edges of a cycle go to consecutive places, so that log2(LANES) layers of exchanges bring each to the bank of its
// place: two edges that meet at an exchange never want the same side.
module doublet_pack #(
    parameter integer LANES = 8,
    parameter integer LANE_BITS = 3,
    parameter integer MAX_EDGES = 512,
    parameter integer DEPTH_BITS = 6,   // log2 of the beats of a graph
    parameter integer EDGE_BITS = 82
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire clear,                  // no edge in this cycle; those that follow are of the next graph
    input  wire write_half,
    input  wire [LANES-1:0] edge_valid,
    input  wire [LANES*EDGE_BITS-1:0] edge_words,
    output reg  [15:0] count,           // edges so far; stays beyond the maximum once it is
    output wire too_many,
    input  wire read_half,
    input  wire [DEPTH_BITS-1:0] read_beat,
    output wire [LANES*EDGE_BITS-1:0] read_words
);
    localparam integer B = EDGE_BITS + LANE_BITS + 1;  // edge, its bank, whether there is one

    // ---- Places, counted from the lowest lane.
    reg [LANES*B-1:0] placed;
    reg [LANES*B-1:0] placed_next;
    reg [LANE_BITS:0] here;
    reg [15:0] base;
    reg placed_valid, placed_half;
    reg [LANE_BITS-1:0] bank;
    integer l;
    assign too_many = count > MAX_EDGES[15:0];
    always @* begin
        here = {(LANE_BITS+1){1'b0}};
        bank = {LANE_BITS{1'b0}};
        placed_next = {LANES*B{1'b0}};
        for (l = 0; l < LANES; l = l + 1) begin
            bank = count[LANE_BITS-1:0] + here[LANE_BITS-1:0];
            placed_next[l*B +: B] = {edge_valid[l], bank, edge_words[l*EDGE_BITS +: EDGE_BITS]};
            here = here + {{LANE_BITS{1'b0}}, edge_valid[l]};
        end
    end
    always @(posedge aclk) begin
        if (clear) count <= 16'd0;
        else if (!too_many) count <= count + {{(15-LANE_BITS){1'b0}}, here};
        placed <= placed_next;
        base <= count;
        placed_half <= write_half;
        placed_valid <= aresetn && |edge_valid && !too_many;
    end

    // ---- Exchanges, lowest bit of the bank first, a register after each layer.
    reg [LANES*B-1:0] layers [0:LANE_BITS-1];
    reg [LANE_BITS-1:0] layer_valid, layer_half;
    reg [15:0] layer_base [0:LANE_BITS-1];
    wire [LANES*B-1:0] sorted = layers[LANE_BITS-1];
    wire [15:0] sorted_base = layer_base[LANE_BITS-1];
    wire sorted_valid = layer_valid[LANE_BITS-1];
    genvar x, b;
    generate
        for (x = 0; x < LANE_BITS; x = x + 1) begin : exchange
            wire [LANES*B-1:0] from = x == 0 ? placed : layers[x == 0 ? 0 : x - 1];
            for (b = 0; b < LANES; b = b + 1) begin : lane
                localparam integer OTHER = b ^ (1 << x);
                localparam [31:0] SIDE = b >> x;
                wire [B-1:0] own = from[b*B +: B];
                wire [B-1:0] other = from[OTHER*B +: B];
                wire stays = own[B-1] && own[EDGE_BITS + x] == SIDE[0];
                wire comes = other[B-1] && other[EDGE_BITS + x] == SIDE[0];
                always @(posedge aclk) layers[x][b*B +: B] <= stays ? own : {comes, other[B-2:0]};
            end
            always @(posedge aclk) begin
                layer_valid[x] <= aresetn && (x == 0 ? placed_valid : layer_valid[x == 0 ? 0 : x - 1]);
                layer_half[x] <= x == 0 ? placed_half : layer_half[x == 0 ? 0 : x - 1];
                layer_base[x] <= x == 0 ? base : layer_base[x == 0 ? 0 : x - 1];
            end
        end
    endgenerate

    // ---- Memories: a bank takes the first place from the base on that is its own.
    generate
        for (b = 0; b < LANES; b = b + 1) begin : store
            reg [EDGE_BITS-1:0] memory [0:(2<<DEPTH_BITS)-1];
            localparam [31:0] AFTER = LANES - 1 - b;
            wire [15:0] beat = (sorted_base + AFTER[15:0]) >> LANE_BITS;
            wire fits = beat[15:DEPTH_BITS] == 0;
            always @(posedge aclk)
                if (sorted_valid && sorted[b*B + B - 1] && fits)
                    memory[{layer_half[LANE_BITS-1], beat[DEPTH_BITS-1:0]}] <= sorted[b*B +: EDGE_BITS];
            assign read_words[b*EDGE_BITS +: EDGE_BITS] = memory[{read_half, read_beat}];
        end
    endgenerate
endmodule
