// Finds pairs of hits on joined layers within the phi window: each cycle one row of LANES senders against two rows of
// receivers. Only rows that hold a layer joined to one of the senders' are visited, so hits sorted by layer go fast;
// the result is the same in any order.
module doublet_search #(
    parameter integer LANES = 8,
    parameter integer ROW_BITS = 5,
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
    output reg  [ROW_BITS-1:0] found_row,
    output reg  [ROW_BITS-2:0] found_group,
    output reg  [LANES*2*LANES-1:0] found  // bit (sender * 2 + row of the group) * LANES + receiver
);
    localparam integer GROUPS = 1 << (ROW_BITS - 1);

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

    reg [LAYERS-1:0] reach_memory [0:(2<<ROW_BITS)-1];
    reg [2*GROUPS*LAYERS-1:0] present;  // layers of each group of two rows, by bank
    integer g;
    always @(posedge aclk) begin
        if (write) reach_memory[{write_bank, write_row}] <= row_reach;
        for (g = 0; g < 2 * GROUPS; g = g + 1)
            if (clear && g / GROUPS == {31'd0, write_bank}) present[g*LAYERS +: LAYERS] <= {LAYERS{1'b0}};
            else if (write && g == {{(32-ROW_BITS){1'b0}}, write_bank, write_row[ROW_BITS-1:1]})
                present[g*LAYERS +: LAYERS] <= present[g*LAYERS +: LAYERS] | row_layers;
    end

    // ---- Which rows meet: the groups left for the row of senders, lowest first.
    reg running;
    reg [ROW_BITS:0] row;
    reg [GROUPS-1:0] targets, next_targets;
    reg [ROW_BITS-2:0] group;
    wire [ROW_BITS:0] next_row = start ? {(ROW_BITS+1){1'b0}} : row + 1'b1;
    wire [LAYERS-1:0] reach = reach_memory[{bank, next_row[ROW_BITS-1:0]}];
    wire [GROUPS-1:0] rest = targets & (targets - 1'b1);
    wire issue = running && !hold && targets != 0;
    wire advance = running && !hold && rest == 0;
    always @* begin
        for (g = 0; g < GROUPS; g = g + 1)
            next_targets[g] = |(reach & (bank ? present[(GROUPS+g)*LAYERS +: LAYERS] : present[g*LAYERS +: LAYERS]));
        group = {(ROW_BITS-1){1'b0}};
        for (g = GROUPS - 1; g >= 0; g = g - 1) if (targets[g]) group = g[ROW_BITS-2:0];
    end
    always @(posedge aclk) begin
        if (!aresetn) running <= 1'b0;
        else if (start) running <= rows != 0;
        else if (advance) running <= next_row != rows;
        if (start || advance) begin
            row <= next_row;
            targets <= next_targets;
        end else if (issue) targets <= rest;
    end

    // ---- Address, operands, comparison.
    reg address_valid, operand_valid;
    reg [ROW_BITS-1:0] address_row, operand_row;
    reg [ROW_BITS-2:0] address_group, operand_group;
    reg both_rows;  // the second row of the group is one of this graph
    wire [LANES*2*LANES-1:0] passed;
    assign busy = running || address_valid || operand_valid || found_valid;
    always @(posedge aclk) begin
        address_valid <= aresetn && issue;
        address_row <= row[ROW_BITS-1:0];
        address_group <= group;
        both_rows <= {1'b0, group, 1'b1} < rows;
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
            reg [LAYERS+2*ANGLE_BITS-1:0] memory [0:(2<<ROW_BITS)-1];
            reg [PADDED-1:0] outer;
            reg [ANGLE_BITS-1:0] low, high;
            wire [LAYERS-1:0] read_mask;
            wire [ANGLE_BITS-1:0] read_low, read_high;
            assign {read_mask, read_high, read_low} = memory[{bank, address_row}];
            always @(posedge aclk) begin
                if (write) memory[{write_bank, write_row}] <=
                    {mask, write_high[s*ANGLE_BITS +: ANGLE_BITS], write_low[s*ANGLE_BITS +: ANGLE_BITS]};
                outer <= {{(PADDED-LAYERS){1'b0}}, read_mask};
                low <= read_low;
                high <= read_high;
            end
        end
        for (p = 0; p < 2; p = p + 1) begin : half
            for (t = 0; t < LANES; t = t + 1) begin : receiver
                localparam [0:0] PARITY = p;
                reg [LAYER_BITS+2*ANGLE_BITS:0] memory [0:(1<<ROW_BITS)-1];
                reg valid;
                reg [LAYER_BITS-1:0] layer;
                reg [ANGLE_BITS-1:0] low, high;
                wire read_valid;
                wire [LAYER_BITS-1:0] read_layer;
                wire [ANGLE_BITS-1:0] read_low, read_high;
                assign {read_valid, read_layer, read_high, read_low} = memory[{bank, address_group}];
                always @(posedge aclk) begin
                    if (write && write_row[0] == PARITY) memory[{write_bank, write_row[ROW_BITS-1:1]}] <=
                        {write_valid[t], write_layer[t*LAYER_BITS +: LAYER_BITS],
                         write_high[t*ANGLE_BITS +: ANGLE_BITS], write_low[t*ANGLE_BITS +: ANGLE_BITS]};
                    valid <= read_valid && (PARITY == 1'b0 || both_rows);
                    layer <= read_layer;
                    low <= read_low;
                    high <= read_high;
                end
                for (s = 0; s < LANES; s = s + 1) begin : pair
                    /* verilator lint_off UNUSEDSIGNAL */
                    wire [ANGLE_BITS-1:0] by_low = low - sender[s].low;
                    wire [ANGLE_BITS-1:0] by_high = high - sender[s].high;
                    /* verilator lint_on UNUSEDSIGNAL */
                    assign passed[(s*2 + p)*LANES + t] = valid && sender[s].outer[layer]
                        && by_low[ANGLE_BITS-1] != by_high[ANGLE_BITS-1];
                end
            end
        end
    endgenerate
endmodule
