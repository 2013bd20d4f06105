// One write port and one read port, whose word comes a cycle after its address.
module hitfabric_ram #(
    parameter WIDTH = 8,
    parameter BITS = 5,
    parameter BLOCK = 1
) (
    input  wire clk,
    input  wire write,
    input  wire [BITS-1:0] write_address,
    input  wire [WIDTH-1:0] write_data,
    input  wire [BITS-1:0] read_address,
    output reg  [WIDTH-1:0] read_data
);
    generate
        if (BLOCK != 0) begin : block
            (* ram_style = "block" *) reg [WIDTH-1:0] words[0:(1<<BITS)-1];
            always @(posedge clk) begin
                if (write) words[write_address] <= write_data;
                read_data <= words[read_address];
            end
        end else begin : distributed
            (* ram_style = "distributed" *) reg [WIDTH-1:0] words[0:(1<<BITS)-1];
            always @(posedge clk) begin
                if (write) words[write_address] <= write_data;
                read_data <= words[read_address];
            end
        end
    endgenerate
endmodule
