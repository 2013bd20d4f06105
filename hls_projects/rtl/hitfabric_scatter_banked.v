// Scatter-add of LANES edges per cycle in any order: every lane has accumulators of its own, so that edges of one
// beat never meet. A sum that the lane's last edge has just changed is taken from the adder instead of the memory.
// Each graph has one half of the accumulators in turn: whoever reads a node's sum in the other half writes a zero in
// its place, so that no cycle is spent on clearing.
module hitfabric_scatter_banked #(
    parameter LANES = 8,
    parameter LEVELS = 3,
    parameter BANKS = 8,
    parameter BANK_BITS = 3,
    parameter NODE_BITS = 8,
    parameter FEATURES = 8,
    parameter BITS = 8,
    parameter MESSAGE_BITS = 8,
    parameter MESSAGE_SIGNED = 0,
    parameter MAXIMUM = 0,
    parameter SATURATE = 0,
    parameter BLOCK = 0
) (
    input  wire clk,
    input  wire rst,
    input  wire clear,
    input  wire [NODE_BITS-BANK_BITS-1:0] clear_address,
    input  wire [LANES-1:0] valid,
    input  wire buffer,
    input  wire [LANES*NODE_BITS-1:0] node,
    input  wire [LANES*FEATURES*MESSAGE_BITS-1:0] message,
    input  wire read,
    input  wire read_buffer,
    input  wire [NODE_BITS-BANK_BITS-1:0] read_address,
    output wire [BANKS*FEATURES*BITS-1:0] total
);
    localparam ROW_BITS = NODE_BITS - BANK_BITS;
    localparam WIDTH = FEATURES * BITS;
    wire [LANES*BANKS*WIDTH-1:0] parts;
    wire [1:0] emptied = {2{clear}} | {read && read_buffer, read && !read_buffer};
    wire [ROW_BITS-1:0] emptied_row = clear ? clear_address : read_address;
    reg writing_buffer, drained_buffer;
    always @(posedge clk) begin
        writing_buffer <= buffer;
        drained_buffer <= read_buffer;
    end
    genvar l, b, h, f;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane
            wire [NODE_BITS-1:0] target = node[l*NODE_BITS+:NODE_BITS];
            reg [NODE_BITS-1:0] place;
            reg writing, again;
            reg [FEATURES*MESSAGE_BITS-1:0] added;
            reg [WIDTH-1:0] sum_then;
            wire [WIDTH-1:0] sum;
            wire [2*BANKS*WIDTH-1:0] words;
            wire [2*WIDTH-1:0] old;
            always @(posedge clk) begin
                writing <= valid[l] && !rst;
                place <= target;
                added <= message[l*FEATURES*MESSAGE_BITS+:FEATURES*MESSAGE_BITS];
                again <= writing && place == target && writing_buffer == buffer;
                sum_then <= sum;
            end
            wire [WIDTH-1:0] base = again ? sum_then : writing_buffer ? old[WIDTH+:WIDTH] : old[0+:WIDTH];
            for (f = 0; f < FEATURES; f = f + 1) begin : feature
                hitfabric_combine #(
                    .BITS(BITS), .OTHER_BITS(MESSAGE_BITS), .OTHER_SIGNED(MESSAGE_SIGNED),
                    .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
                ) combine (
                    .a(base[f*BITS+:BITS]), .b(added[f*MESSAGE_BITS+:MESSAGE_BITS]), .y(sum[f*BITS+:BITS]));
            end
            for (h = 0; h < 2; h = h + 1) begin : half
                localparam [0:0] NUMBER = h;
                wire [WIDTH-1:0] data = sum & {WIDTH{!emptied[h]}};
                wire [BANKS-1:0] chosen;
                for (b = 0; b < BANKS; b = b + 1) begin : bank
                    hitfabric_ram #(.WIDTH(WIDTH), .BITS(ROW_BITS), .BLOCK(BLOCK)) ram (
                        .clk(clk), .write(emptied[h] || (writing && chosen[b] && writing_buffer == NUMBER)),
                        .write_address(emptied[h] ? emptied_row : place[NODE_BITS-1:BANK_BITS]), .write_data(data),
                        .read_address(emptied[h] ? emptied_row : target[NODE_BITS-1:BANK_BITS]),
                        .read_data(words[(h*BANKS+b)*WIDTH+:WIDTH]));
                end
                if (BANKS > 1) begin : several
                    wire [BANKS*WIDTH-1:0] mine = words[h*BANKS*WIDTH+:BANKS*WIDTH];
                    assign chosen = {{(BANKS - 1) {1'b0}}, 1'b1} << place[BANK_BITS-1:0];
                    assign old[h*WIDTH+:WIDTH] = mine[place[BANK_BITS-1:0]*WIDTH+:WIDTH];
                end else begin : single
                    assign chosen = 1'b1;
                    assign old[h*WIDTH+:WIDTH] = words[h*WIDTH+:WIDTH];
                end
            end
            assign parts[l*BANKS*WIDTH+:BANKS*WIDTH] =
                drained_buffer ? words[BANKS*WIDTH+:BANKS*WIDTH] : words[0+:BANKS*WIDTH];
        end
    endgenerate
    hitfabric_lane_total #(
        .LANES(LANES), .LEVELS(LEVELS), .VALUES(BANKS * FEATURES), .BITS(BITS), .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
    ) lane_total (.clk(clk), .parts(parts), .total(total));
endmodule
