// Sums of some nodes for two graphs in turn, written once each. A flag per node says whether there is a sum; reading a
// node for the next pass takes its flag down, so that no cycle is spent on clearing.
module hitfabric_accumulator #(
    parameter WIDTH = 8,
    parameter BITS = 5  // of the address, without the buffer
) (
    input  wire clk,
    input  wire clear,   // after reset
    input  wire [BITS-1:0] clear_address,
    input  wire write,
    input  wire write_buffer,
    input  wire [BITS-1:0] write_address,
    input  wire [WIDTH-1:0] write_data,
    input  wire read,
    input  wire read_buffer,
    input  wire [BITS-1:0] read_address,
    output wire [WIDTH-1:0] read_data
);
    wire [1:0] flags;
    wire [WIDTH-1:0] found;
    reg flag_then;
    always @(posedge clk) flag_then <= flags[read_buffer];
    genvar h;
    generate
        for (h = 0; h < 2; h = h + 1) begin : buffer
            localparam [0:0] NUMBER = h;
            (* ram_style = "distributed" *) reg flag[0:(1<<BITS)-1];
            wire taken = read && read_buffer == NUMBER;
            wire [BITS-1:0] address = clear ? clear_address : taken ? read_address : write_address;
            always @(posedge clk)
                if (clear || taken || (write && write_buffer == NUMBER)) flag[address] <= !clear && !taken;
            assign flags[h] = flag[read_address];
        end
    endgenerate
    hitfabric_ram #(.WIDTH(WIDTH), .BITS(BITS + 1), .BLOCK(1)) ram (
        .clk(clk), .write(write), .write_address({write_buffer, write_address}), .write_data(write_data),
        .read_address({read_buffer, read_address}), .read_data(found));
    assign read_data = found & {WIDTH{flag_then}};
endmodule
