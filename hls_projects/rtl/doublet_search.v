// Finds pairs of hits on joined layers within the phi window: each cycle a group of rows of LANES senders against one row
// of receivers. Only rows that hold a layer joined to one of the senders' are visited, so hits sorted by layer go fast;
// the result is the same in any order.
module doublet_search #(
    parameter integer LANES = 8,
    parameter integer ROW_BITS = 5,
    parameter integer GROUP_BITS = 1,  // log2 of the rows of senders
    parameter integer LAYERS = 18,
    parameter integer LAYER_BITS = 5,
    parameter integer ANGLE_BITS = 18
) (
    input  wire aclk,
    input  wire aresetn,
    // A row of hits is written to one of two banks.
    input  wire clear,  // forget the rows of write_bank
    input  wire write,
    input  wire write_bank,
    input  wire [ROW_BITS-1:0] write_row,
    input  wire [LANES-1:0] write_valid,
    input  wire [LANES*LAYER_BITS-1:0] write_layer,
    input  wire [LANES*ANGLE_BITS-1:0] write_low,
    input  wire [LANES*ANGLE_BITS-1:0] write_high,
    // The rows of a bank are searched.
    input  wire start,
    input  wire bank,
    input  wire [ROW_BITS:0] rows,
    input  wire hold,
    output wire busy,
    output reg  found_valid,
    output reg  [ROW_BITS-GROUP_BITS-1:0] found_group,    // rows of senders
    output reg  [ROW_BITS-1:0] found_row,                 // of receivers
    output reg  [LANES*(LANES<<GROUP_BITS)-1:0] found     // bit (sender * GROUP + row of the group) * LANES + receiver
);
    localparam integer ROWS = 1 << ROW_BITS;
    localparam integer GROUP = 1 << GROUP_BITS;

    // ---- What layers a row holds, and what layers theirs are joined to.
    wire [LANES*LAYERS-1:0] successors;
    reg [LAYERS-1:0] row_layers, row_reach;
    integer h;
    always @* begin
        row_layers = {LAYERS{1'b0}};
        row_reach = {LAYERS{1'b0}};
        for (h = 0; h < LANES; h = h + 1)
            if (write_valid[h]) begin
                row_layers[write_layer[h*LAYER_BITS +: LAYER_BITS]] = 1'b1;
                row_reach = row_reach | successors[h*LAYERS +: LAYERS];
            end
    end

    reg [LAYERS-1:0] group_reach;
    reg [LAYERS-1:0] reach_memory [0:2*ROWS/GROUP-1];  // layers that those of a group are joined to, by bank
    wire [LAYERS-1:0] next_reach = write_row[GROUP_BITS-1:0] == 0 ? row_reach : row_reach | group_reach;
    reg [2*ROWS*LAYERS-1:0] present;           // layers of each row, by bank
    integer g;
    always @(posedge aclk) begin
        if (write) begin
            group_reach <= next_reach;
            reach_memory[{write_bank, write_row[ROW_BITS-1:GROUP_BITS]}] <= next_reach;
        end
        for (g = 0; g < 2 * ROWS; g = g + 1)
            if (clear && g / ROWS == {31'd0, write_bank}) present[g*LAYERS +: LAYERS] <= {LAYERS{1'b0}};
            else if (write && g == {{(31-ROW_BITS){1'b0}}, write_bank, write_row})
                present[g*LAYERS +: LAYERS] <= row_layers;
    end

    // ---- Which rows meet: the rows of receivers left for the rows of senders, lowest first.
    reg running;
    reg [ROW_BITS-GROUP_BITS:0] group;
    reg [ROWS-1:0] targets, next_targets;
    reg [ROW_BITS-1:0] row;
    wire [ROW_BITS-GROUP_BITS:0] next_group = start ? {(ROW_BITS-GROUP_BITS+1){1'b0}} : group + 1'b1;
    wire [LAYERS-1:0] reach = reach_memory[{bank, next_group[ROW_BITS-GROUP_BITS-1:0]}];
    wire [ROWS-1:0] rest = targets & (targets - 1'b1);
    wire issue = running && !hold && targets != 0;
    wire advance = running && !hold && rest == 0;
    wire last = {next_group, {GROUP_BITS{1'b0}}} >= rows;
    integer q;
    always @* begin
        for (q = 0; q < ROWS; q = q + 1)
            next_targets[q] = |(reach & (bank ? present[(ROWS+q)*LAYERS +: LAYERS] : present[q*LAYERS +: LAYERS]));
        row = {ROW_BITS{1'b0}};
        for (q = ROWS - 1; q >= 0; q = q - 1) if (targets[q]) row = q[ROW_BITS-1:0];
    end
    always @(posedge aclk) begin
        if (!aresetn) running <= 1'b0;
        else if (start || advance) running <= !last;
        if (start || advance) begin
            group <= next_group;
            targets <= next_targets;
        end else if (issue) targets <= rest;
    end

    // ---- Address, operands, comparison.
    reg address_valid, operand_valid;
    reg [ROW_BITS-1:0] address_row, operand_row;
    reg [ROW_BITS-GROUP_BITS-1:0] address_group, operand_group;
    reg [GROUP-1:0] used_rows;  // rows of senders that are of this graph
    wire [LANES*GROUP*LANES-1:0] passed;
    integer u;
    assign busy = running || address_valid || operand_valid || found_valid;
    always @(posedge aclk) begin
        address_valid <= aresetn && issue;
        address_row <= row;
        address_group <= group[ROW_BITS-GROUP_BITS-1:0];
        for (u = 0; u < GROUP; u = u + 1) used_rows[u] <= {group, u[GROUP_BITS-1:0]} < rows;
        operand_valid <= aresetn && address_valid;
        operand_row <= address_row;
        operand_group <= address_group;
        found_valid <= aresetn && operand_valid;
        found_row <= operand_row;
        found_group <= operand_group;
        found <= passed;
    end

    localparam integer PADDED = 1 << LAYER_BITS;
    genvar s, p, t;
    generate
        for (s = 0; s < LANES; s = s + 1) begin : sender
            doublet_successors joined (
                .layer(write_layer[s*LAYER_BITS +: LAYER_BITS]), .outer(successors[s*LAYERS +: LAYERS])
            );
            wire [LAYERS-1:0] mask = write_valid[s] ? successors[s*LAYERS +: LAYERS] : {LAYERS{1'b0}};
            for (p = 0; p < GROUP; p = p + 1) begin : part
                localparam [31:0] PART = p;
                reg [LAYERS+2*ANGLE_BITS-1:0] memory [0:2*ROWS/GROUP-1];
                reg [PADDED-1:0] outer;
                reg [ANGLE_BITS-1:0] low, high;
                wire [LAYERS-1:0] read_mask;
                wire [ANGLE_BITS-1:0] read_low, read_high;
                wire used = used_rows[p];
                assign {read_mask, read_high, read_low} = memory[{bank, address_group}];
                always @(posedge aclk) begin
                    if (write && write_row[GROUP_BITS-1:0] == PART[GROUP_BITS-1:0])
                        memory[{write_bank, write_row[ROW_BITS-1:GROUP_BITS]}] <= {mask, write_high[s*ANGLE_BITS +: ANGLE_BITS], write_low[s*ANGLE_BITS +: ANGLE_BITS]};
                    outer <= {{(PADDED-LAYERS){1'b0}}, used ? read_mask : {LAYERS{1'b0}}};
                    low <= read_low;
                    high <= read_high;
                end
            end
        end
        for (t = 0; t < LANES; t = t + 1) begin : receiver
            reg [LAYER_BITS+2*ANGLE_BITS:0] memory [0:2*ROWS-1];
            reg valid;
            reg [LAYER_BITS-1:0] layer;
            reg [ANGLE_BITS-1:0] low, high;
            wire read_valid;
            wire [LAYER_BITS-1:0] read_layer;
            wire [ANGLE_BITS-1:0] read_low, read_high;
            assign {read_valid, read_layer, read_high, read_low} = memory[{bank, address_row}];
            always @(posedge aclk) begin
                if (write) memory[{write_bank, write_row}] <=
                    {write_valid[t], write_layer[t*LAYER_BITS +: LAYER_BITS],
                     write_high[t*ANGLE_BITS +: ANGLE_BITS], write_low[t*ANGLE_BITS +: ANGLE_BITS]};
                valid <= read_valid;
                layer <= read_layer;
                low <= read_low;
                high <= read_high;
            end
            for (s = 0; s < LANES; s = s + 1) begin : other
                for (p = 0; p < GROUP; p = p + 1) begin : pair
                    /* verilator lint_off UNUSEDSIGNAL */
                    wire [ANGLE_BITS-1:0] by_low = low - sender[s].part[p].low;
                    wire [ANGLE_BITS-1:0] by_high = high - sender[s].part[p].high;
                    /* verilator lint_on UNUSEDSIGNAL */
                    assign passed[(s*GROUP + p)*LANES + t] = valid && sender[s].part[p].outer[layer]
                        && by_low[ANGLE_BITS-1] != by_high[ANGLE_BITS-1];
                end
            end
        end
    endgenerate
endmodule
