// What is known of each graph on its way: one word per slot, read without delay.
module hitfabric_slots #(
    parameter WIDTH = 16,
    parameter SLOT_BITS = 3
) (
    input  wire clk,
    input  wire write,
    input  wire [SLOT_BITS-1:0] write_slot,
    input  wire [WIDTH-1:0] write_data,
    input  wire [SLOT_BITS-1:0] read_slot,
    output wire [WIDTH-1:0] read_data
);
    (* ram_style = "distributed" *) reg [WIDTH-1:0] words[0:(1<<SLOT_BITS)-1];
    always @(posedge clk) if (write) words[write_slot] <= write_data;
    assign read_data = words[read_slot];
endmodule
