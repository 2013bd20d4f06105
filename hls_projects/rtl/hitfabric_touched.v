// Whether a node has a sum of the graph at hand: a flag per node for two graphs in turn, raised at one node, and taken
// down at one node of each bank, per cycle.
module hitfabric_touched #(
    parameter BANKS = 4,
    parameter BANK_BITS = 2,
    parameter NODE_BITS = 8
) (
    input  wire clk,
    input  wire raise,
    input  wire raise_buffer,
    input  wire [NODE_BITS-1:0] raise_node,
    input  wire take,
    input  wire take_buffer,
    input  wire [NODE_BITS-BANK_BITS-1:0] take_address,
    input  wire look_buffer,
    input  wire [NODE_BITS-1:0] look_node,
    output reg  found  // a cycle later
);
    localparam ROW_BITS = NODE_BITS - BANK_BITS;
    wire [2*BANKS-1:0] flags;
    genvar h, b;
    generate
        for (h = 0; h < 2; h = h + 1) begin : half
            localparam [0:0] HALF = h;
            wire down = take && take_buffer == HALF;
            wire up = raise && raise_buffer == HALF;
            wire [ROW_BITS-1:0] address = down ? take_address : raise_node[NODE_BITS-1:BANK_BITS];
            for (b = 0; b < BANKS; b = b + 1) begin : bank
                wire chosen;
                if (BANKS > 1) begin : several
                    localparam [BANK_BITS-1:0] NUMBER = b;
                    assign chosen = raise_node[BANK_BITS-1:0] == NUMBER;
                end else begin : only
                    assign chosen = 1'b1;
                end
                (* ram_style = "distributed" *) reg flag[0:(1<<ROW_BITS)-1];
                always @(posedge clk) if (down || (up && chosen)) flag[address] <= !down;
                assign flags[h*BANKS+b] = flag[look_node[NODE_BITS-1:BANK_BITS]];
            end
        end
        if (BANKS > 1) begin : select
            always @(posedge clk) found <= flags[{look_buffer, look_node[BANK_BITS-1:0]}];
        end else begin : single
            always @(posedge clk) found <= flags[look_buffer];
        end
    endgenerate
endmodule
