// Scatter-add of LANES edges per cycle in any order: every lane has accumulators of its own, so that edges of one
// beat never meet. A sum that the lane's last edge has just changed is taken from the adder instead of the memory.
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
    reg writing_buffer;
    always @(posedge clk) writing_buffer <= buffer;
    genvar l, b, f;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane
            wire [NODE_BITS-1:0] target = node[l*NODE_BITS+:NODE_BITS];
            wire [BANKS-1:0] look_valid;
            wire [BANKS*WIDTH-1:0] look_data;
            wire [WIDTH-1:0] sum;
            wire found;
            wire [WIDTH-1:0] old;
            reg writing;
            reg [NODE_BITS-1:0] place;
            wire [WIDTH-1:0] base;
            reg [FEATURES*MESSAGE_BITS-1:0] added;
            wire again = writing && place == target && writing_buffer == buffer;
            always @(posedge clk) begin
                writing <= valid[l] && !rst;
                place <= target;
                added <= message[l*FEATURES*MESSAGE_BITS+:FEATURES*MESSAGE_BITS];
            end
            if (BLOCK != 0) begin : late
                reg again_then;
                reg [WIDTH-1:0] sum_then;
                always @(posedge clk) begin
                    again_then <= again;
                    sum_then <= sum;
                end
                assign base = again_then ? sum_then : old & {WIDTH{found}};
            end else begin : early
                reg [WIDTH-1:0] begun;
                always @(posedge clk)
                    if (!again && !found) begun <= {WIDTH{1'b0}};
                    else begun <= again ? sum : old;
                assign base = begun;
            end
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
                hitfabric_accumulator #(.WIDTH(WIDTH), .BITS(ROW_BITS), .LOOK(1), .BLOCK(BLOCK)) accumulator (
                    .clk(clk), .clear(clear), .clear_address(clear_address),
                    .write(writing && chosen), .write_buffer(writing_buffer),
                    .write_address(place[NODE_BITS-1:BANK_BITS]), .write_data(sum),
                    .look_buffer(buffer), .look_address(target[NODE_BITS-1:BANK_BITS]),
                    .look_valid(look_valid[b]), .look_data(look_data[b*WIDTH+:WIDTH]),
                    .read(read), .read_buffer(read_buffer), .read_address(read_address),
                    .read_data(parts[(l*BANKS+b)*WIDTH+:WIDTH]));
            end
            if (BANKS > 1) begin : select
                // The bank of the edge whose old sum comes now: a cycle late from block RAM.
                wire [BANK_BITS-1:0] looked = BLOCK != 0 ? place[BANK_BITS-1:0] : target[BANK_BITS-1:0];
                assign found = look_valid[looked];
                assign old = look_data[looked*WIDTH+:WIDTH];
            end else begin : single
                assign found = look_valid;
                assign old = look_data;
            end
        end
    endgenerate
    hitfabric_lane_total #(
        .LANES(LANES), .LEVELS(LEVELS), .VALUES(BANKS * FEATURES), .BITS(BITS), .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
    ) lane_total (.clk(clk), .parts(parts), .total(total));
endmodule
