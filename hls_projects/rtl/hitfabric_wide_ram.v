// Block RAM written PARTS words, two or more, at a time and read a word at a time, which comes a cycle after its address.
module hitfabric_wide_ram #(
    parameter WIDTH = 8,
    parameter PARTS = 4,
    parameter PART_BITS = 2,
    parameter BITS = 5  // of the address that is written
) (
    input  wire clk,
    input  wire write,
    input  wire [BITS-1:0] write_address,
    input  wire [PARTS*WIDTH-1:0] write_data,
    input  wire [BITS+PART_BITS-1:0] read_address,
    output reg  [WIDTH-1:0] read_data
);
    (* ram_style = "block" *) reg [WIDTH-1:0] words[0:(PARTS<<BITS)-1];
    genvar p;
    generate
        for (p = 0; p < PARTS; p = p + 1) begin : part
            localparam [PART_BITS-1:0] NUMBER = p;
            always @(posedge clk) if (write) words[{write_address, NUMBER}] <= write_data[p*WIDTH+:WIDTH];
        end
    endgenerate
    always @(posedge clk) read_data <= words[read_address];
endmodule
