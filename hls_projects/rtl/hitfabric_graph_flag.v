// One flag per slot: whether any beat of a graph raised it.
module hitfabric_graph_flag #(
    parameter SLOT_BITS = 3
) (
    input  wire clk,
    input  wire rst,
    input  wire token,  // a beat passes
    input  wire last,   // and it is the last one of its graph
    input  wire raise,
    input  wire [SLOT_BITS-1:0] slot,
    input  wire [SLOT_BITS-1:0] read_slot,
    output wire read_flag
);
    reg raised;
    reg [(1<<SLOT_BITS)-1:0] flags;
    always @(posedge clk) begin
        if (rst || (token && last)) raised <= 1'b0;
        else if (token && raise) raised <= 1'b1;
        if (token && last) flags[slot] <= raised || raise;
    end
    assign read_flag = flags[read_slot];
endmodule
