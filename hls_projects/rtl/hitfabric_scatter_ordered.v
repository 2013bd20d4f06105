// Scatter-add of LANES edges per cycle that ascend by node, edges that end at no node last. Edges of one beat that meet
// are joined by a segmented prefix sum, and each of LANES + 1 ports has a memory of its own. A sum that may go on in the
// next beat is held; if it ends within that beat, held and last part are written to two memories, and meet when read.
module hitfabric_scatter_ordered #(
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
    input  wire token,  // a beat passes
    input  wire last,   // and it is the last one of its graph
    input  wire [LANES-1:0] valid,
    input  wire buffer,
    input  wire [LANES*NODE_BITS-1:0] node,
    input  wire [LANES*FEATURES*MESSAGE_BITS-1:0] message,
    input  wire read,
    input  wire read_buffer,
    input  wire [NODE_BITS-BANK_BITS-1:0] read_address,
    output wire [BANKS*FEATURES*BITS-1:0] total,
    output wire disorder  // of this beat: its edges are not in order, or do not follow those before
);
    localparam ROW_BITS = NODE_BITS - BANK_BITS;
    localparam WIDTH = FEATURES * BITS;
    localparam SIDE = LANES * (NODE_BITS + 1) + 3;  // what goes along with the messages
    localparam CYCLES = (LEVELS + 1) / 2;
    wire unused_clear = clear_address[ROW_BITS];  // both halves at once
    genvar s, l, b, f, p;

    // Order, seen before anything is added.
    reg seen;  // an edge of this graph came before
    reg ended;  // an edge without a node came before
    reg [NODE_BITS-1:0] previous;
    wire [LANES-1:0] wrong;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : order
            wire [NODE_BITS-1:0] mine = node[l*NODE_BITS+:NODE_BITS];
            if (l == 0) begin : first
                assign wrong[l] = valid[l] && (ended || (seen && mine < previous));
            end else begin : next
                assign wrong[l] = valid[l] && (!valid[l-1] || mine < node[(l-1)*NODE_BITS+:NODE_BITS]);
            end
        end
    endgenerate
    assign disorder = |wrong;
    always @(posedge clk)
        if (rst || (token && last)) begin
            seen <= 1'b0;
            ended <= 1'b0;
        end else if (token) begin
            seen <= seen || valid[LANES-1];
            ended <= ended || !valid[LANES-1];
        end
    always @(posedge clk) if (token) previous <= node[(LANES-1)*NODE_BITS+:NODE_BITS];

    // Segmented prefix sums, a register after every second level and after the last.
    generate
        for (s = 0; s <= LEVELS; s = s + 1) begin : level
            wire [SIDE-1:0] side;
            wire [LANES*WIDTH-1:0] sum;
            if (s == 0) begin : source
                assign side = {token, last, buffer, valid, node};
                for (l = 0; l < LANES * FEATURES; l = l + 1) begin : value
                    hitfabric_combine #(
                        .BITS(BITS), .OTHER_BITS(MESSAGE_BITS), .OTHER_SIGNED(MESSAGE_SIGNED),
                        .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
                    ) combine (.a({BITS{1'b0}}), .b(message[l*MESSAGE_BITS+:MESSAGE_BITS]), .y(sum[l*BITS+:BITS]));
                end
            end else begin : tree
                localparam REACH = 1 << (s - 1);
                localparam DEPTH = (s % 2 == 0 || s == LEVELS) ? 1 : 0;
                wire [LANES*WIDTH-1:0] next;
                wire [LANES-1:0] marks = level[s-1].side[LANES*NODE_BITS+:LANES];
                for (l = 0; l < LANES; l = l + 1) begin : lane
                    if (l < REACH) begin : alone
                        assign next[l*WIDTH+:WIDTH] = level[s-1].sum[l*WIDTH+:WIDTH];
                    end else begin : joined
                        wire same = marks[l] && marks[l-REACH] && level[s-1].side[l*NODE_BITS+:NODE_BITS]
                            == level[s-1].side[(l-REACH)*NODE_BITS+:NODE_BITS];
                        for (f = 0; f < FEATURES; f = f + 1) begin : feature
                            hitfabric_combine #(
                                .BITS(BITS), .OTHER_BITS(BITS), .OTHER_SIGNED(0), .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
                            ) combine (
                                .a(level[s-1].sum[(l*FEATURES+f)*BITS+:BITS]),
                                .b(level[s-1].sum[((l-REACH)*FEATURES+f)*BITS+:BITS] & {BITS{same}}),
                                .y(next[(l*FEATURES+f)*BITS+:BITS]));
                        end
                    end
                end
                hitfabric_delay #(.WIDTH(SIDE), .DEPTH(DEPTH)) along (.clk(clk), .d(level[s-1].side), .q(side));
                hitfabric_delay #(.WIDTH(LANES * WIDTH), .DEPTH(DEPTH)) sums (.clk(clk), .d(next), .q(sum));
            end
        end
    endgenerate
    wire arrived_buffer, arrived_last, arrived, unused_token, unused_last;
    wire [LANES-1:0] mark;
    wire [LANES*NODE_BITS-1:0] place;
    assign {unused_token, unused_last, arrived_buffer, mark, place} = level[LEVELS].side;
    wire unused = unused_token | unused_last;
    hitfabric_flags #(.WIDTH(2), .DEPTH(CYCLES)) tokens (
        .clk(clk), .rst(rst), .d({token, token && last}), .q({arrived, arrived_last}));

    // The sum held from the beats before.
    reg held, held_last, held_buffer;
    reg [NODE_BITS-1:0] held_node;
    reg [WIDTH-1:0] held_sum;
    wire [NODE_BITS-1:0] kept_node;
    wire goes_on = held && !held_last && arrived && mark[0] && place[NODE_BITS-1:0] == held_node;
    wire continues = goes_on && kept_node == held_node;  // through the whole beat, and maybe further
    wire write_held = held && (held_last || (arrived && !continues));
    wire [LANES*WIDTH-1:0] whole = level[LEVELS].sum;
    wire [LANES-1:0] complete;     // the last lane of a node that ends in this beat
    wire [LANES-1:0] final_lane;   // the last lane that holds an edge with a node
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane_end
            if (l == LANES - 1) begin : top
                assign final_lane[l] = mark[l];
                assign complete[l] = 1'b0;
            end else begin : below
                assign final_lane[l] = mark[l] && !mark[l+1];
                assign complete[l] = arrived && mark[l] && mark[l+1]
                    && place[l*NODE_BITS+:NODE_BITS] != place[(l+1)*NODE_BITS+:NODE_BITS];
            end
        end
    endgenerate
    wire [WIDTH-1:0] kept_sum, next_sum;
    generate
        for (f = 0; f < FEATURES; f = f + 1) begin : join_held
            hitfabric_combine #(
                .BITS(BITS), .OTHER_BITS(BITS), .OTHER_SIGNED(0), .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
            ) combine (
                .a(kept_sum[f*BITS+:BITS]), .b(held_sum[f*BITS+:BITS] & {BITS{continues}}), .y(next_sum[f*BITS+:BITS]));
        end
    endgenerate
    hitfabric_choose #(.COUNT(LANES), .WIDTH(WIDTH)) keep_sum (.chosen(final_lane), .words(whole), .word(kept_sum));
    hitfabric_choose #(.COUNT(LANES), .WIDTH(NODE_BITS)) keep_node (
        .chosen(final_lane), .words(place), .word(kept_node));
    always @(posedge clk)
        if (rst) begin
            held <= 1'b0;
            held_last <= 1'b0;
        end else if (arrived) begin
            held <= |mark;
            held_last <= arrived_last;
        end else if (held_last) begin
            held <= 1'b0;
            held_last <= 1'b0;
        end else if (write_held) held <= 1'b0;
    always @(posedge clk)
        if (arrived) begin
            held_buffer <= arrived_buffer;
            held_node <= kept_node;
            held_sum <= next_sum;
        end

    // One write port per lane, and one for what was held.
    reg [LANES-1:0] writing;
    reg writing_buffer;
    reg [LANES*NODE_BITS-1:0] writing_place;
    reg [LANES*WIDTH-1:0] writing_sum;
    always @(posedge clk) begin
        writing <= rst ? {LANES{1'b0}} : complete;
        writing_buffer <= arrived_buffer;
        writing_place <= place;
        writing_sum <= whole;
    end
    wire [(LANES+1)*BANKS*WIDTH-1:0] parts;
    generate
        for (p = 0; p <= LANES; p = p + 1) begin : port
            wire mine, of_buffer;
            wire [NODE_BITS-1:0] target;
            wire [WIDTH-1:0] data;
            if (p == LANES) begin : hold
                assign mine = write_held;
                assign of_buffer = held_buffer;
                assign target = held_node;
                assign data = held_sum;
            end else begin : lane
                assign mine = writing[p];
                assign of_buffer = writing_buffer;
                assign target = writing_place[p*NODE_BITS+:NODE_BITS];
                assign data = writing_sum[p*WIDTH+:WIDTH];
            end
            for (b = 0; b < BANKS; b = b + 1) begin : bank
                wire chosen;
                if (BANKS > 1) begin : several
                    localparam [BANK_BITS-1:0] NUMBER = b;
                    assign chosen = target[BANK_BITS-1:0] == NUMBER;
                end else begin : only
                    assign chosen = 1'b1;
                end
                hitfabric_accumulator #(.WIDTH(WIDTH), .BITS(ROW_BITS)) accumulator (
                    .clk(clk), .clear(clear), .clear_address(clear_address[ROW_BITS-1:0]),
                    .write(mine && chosen), .write_buffer(of_buffer),
                    .write_address(target[NODE_BITS-1:BANK_BITS]), .write_data(data),
                    .read(read), .read_buffer(read_buffer), .read_address(read_address),
                    .read_data(parts[(p*BANKS+b)*WIDTH+:WIDTH]));
            end
        end
    endgenerate
    wire [BANKS*WIDTH-1:0] either, sum;
    reg [BANKS*WIDTH-1:0] found;
    assign total = found;
    always @(posedge clk) found <= sum;
    hitfabric_choose #(.COUNT(LANES), .WIDTH(BANKS * WIDTH)) of_lanes (  // at most one of them holds a node
        .chosen({LANES{1'b1}}), .words(parts[LANES*BANKS*WIDTH-1:0]), .word(either));
    generate
        for (f = 0; f < BANKS * FEATURES; f = f + 1) begin : meet
            hitfabric_combine #(
                .BITS(BITS), .OTHER_BITS(BITS), .OTHER_SIGNED(0), .MAXIMUM(MAXIMUM), .SATURATE(SATURATE)
            ) combine (
                .a(either[f*BITS+:BITS]), .b(parts[LANES*BANKS*WIDTH+f*BITS+:BITS]), .y(sum[f*BITS+:BITS]));
        end
    endgenerate
endmodule
