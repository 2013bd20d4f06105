// Scatter-add of LANES edges per cycle in any order: every lane has sums of its own, so that edges of one beat never
// meet. A lane adds to a memory of all nodes, and writes the same sums to a memory per bank, from which the next pass
// takes them. A sum that the lane's last edge has just changed comes from the adder instead.
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
    parameter SATURATE = 0
) (
    input  wire clk,
    input  wire rst,
    input  wire clear,
    input  wire [NODE_BITS-BANK_BITS:0] clear_address,
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
    wire take = clear || read;
    wire take_buffer = clear ? clear_address[ROW_BITS] : read_buffer;
    wire [ROW_BITS-1:0] take_address = clear ? clear_address[ROW_BITS-1:0] : read_address;
    reg writing_buffer;
    always @(posedge clk) writing_buffer <= buffer;
    genvar l, b, f;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane
            wire [NODE_BITS-1:0] target = node[l*NODE_BITS+:NODE_BITS];
            reg [NODE_BITS-1:0] place;
            reg writing, again;
            reg [FEATURES*MESSAGE_BITS-1:0] added;
            reg [WIDTH-1:0] sum_then;
            wire [WIDTH-1:0] sum, old;
            wire found;
            always @(posedge clk) begin
                writing <= valid[l] && !rst;
                place <= target;
                added <= message[l*FEATURES*MESSAGE_BITS+:FEATURES*MESSAGE_BITS];
                again <= writing && place == target && writing_buffer == buffer;
                sum_then <= sum;
            end
            hitfabric_touched #(.BANKS(BANKS), .BANK_BITS(BANK_BITS), .NODE_BITS(NODE_BITS)) touched (
                .clk(clk), .raise(writing), .raise_buffer(writing_buffer), .raise_node(place),
                .take(take), .take_buffer(take_buffer), .take_address(take_address),
                .look_buffer(buffer), .look_node(target), .found(found));
            hitfabric_ram #(.WIDTH(WIDTH), .BITS(NODE_BITS + 1), .BLOCK(1)) own (
                .clk(clk), .write(writing), .write_address({writing_buffer, place}), .write_data(sum),
                .read_address({buffer, target}), .read_data(old));
            wire [WIDTH-1:0] base = again ? sum_then : old & {WIDTH{found}};
            for (f = 0; f < FEATURES; f = f + 1) begin : feature
                hitfabric_combine #(
                    .BITS(BITS), .OTHER_BITS(MESSAGE_BITS), .OTHER_SIGNED(MESSAGE_SIGNED),
                    .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
                ) combine (
                    .a(base[f*BITS+:BITS]), .b(added[f*MESSAGE_BITS+:MESSAGE_BITS]), .y(sum[f*BITS+:BITS]));
            end
            for (b = 0; b < BANKS; b = b + 1) begin : bank
                wire chosen;
                if (BANKS > 1) begin : several
                    localparam [BANK_BITS-1:0] NUMBER = b;
                    assign chosen = place[BANK_BITS-1:0] == NUMBER;
                end else begin : only
                    assign chosen = 1'b1;
                end
                hitfabric_sums #(.WIDTH(WIDTH), .BITS(ROW_BITS + 1)) sums (
                    .clk(clk), .write(writing && chosen), .write_address({writing_buffer, place[NODE_BITS-1:BANK_BITS]}),
                    .write_data(sum), .take(take), .take_address({take_buffer, take_address}),
                    .taken(parts[(l*BANKS+b)*WIDTH+:WIDTH]));
            end
        end
    endgenerate
    hitfabric_lane_total #(
        .LANES(LANES), .LEVELS(LEVELS), .VALUES(BANKS * FEATURES), .BITS(BITS), .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
    ) lane_total (.clk(clk), .parts(parts), .total(total));
endmodule
