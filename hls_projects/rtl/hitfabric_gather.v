// Features of nodes, read at any node by PORTS ends of edges at once: a copy per port. Block RAM is written a beat of
// nodes at a time and read a node at a time; distributed RAM has a bank per lane that writes. What is read comes two
// cycles after its node; an end that is no node reads zeros.
module hitfabric_gather #(
    parameter WIDTH = 8,
    parameter BANKS = 8,
    parameter BANK_BITS = 3,
    parameter NODE_BITS = 8,
    parameter BUFFER_BITS = 1,
    parameter PORTS = 16,
    parameter BLOCK = 1
) (
    input  wire clk,
    input  wire write,
    input  wire [BUFFER_BITS+NODE_BITS-BANK_BITS-1:0] write_address,
    input  wire [BANKS*WIDTH-1:0] write_data,
    input  wire [BUFFER_BITS-1:0] read_buffer,
    input  wire [PORTS*NODE_BITS-1:0] read_node,
    input  wire [PORTS-1:0] read_valid,
    output reg  [PORTS*WIDTH-1:0] read_data
);
    localparam BITS = BUFFER_BITS + NODE_BITS - BANK_BITS;
    genvar p, b;
    generate
        for (p = 0; p < PORTS; p = p + 1) begin : port
            wire [NODE_BITS-1:0] node = read_node[p*NODE_BITS+:NODE_BITS];
            wire [WIDTH-1:0] word;
            reg valid;
            if (BLOCK != 0 && BANKS > 1) begin : block
                hitfabric_wide_ram #(.WIDTH(WIDTH), .PARTS(BANKS), .PART_BITS(BANK_BITS), .BITS(BITS)) ram (
                    .clk(clk), .write(write), .write_address(write_address), .write_data(write_data),
                    .read_address({read_buffer, node}), .read_data(word));
            end else begin : banks
                wire [BANKS*WIDTH-1:0] words;
                for (b = 0; b < BANKS; b = b + 1) begin : bank
                    hitfabric_ram #(.WIDTH(WIDTH), .BITS(BITS), .BLOCK(BLOCK)) ram (
                        .clk(clk), .write(write), .write_address(write_address),
                        .write_data(write_data[b*WIDTH+:WIDTH]),
                        .read_address({read_buffer, node[NODE_BITS-1:BANK_BITS]}),
                        .read_data(words[b*WIDTH+:WIDTH]));
                end
                if (BANKS > 1) begin : select
                    reg [BANK_BITS-1:0] place;
                    always @(posedge clk) place <= node[BANK_BITS-1:0];
                    assign word = words[place*WIDTH+:WIDTH];
                end else begin : single
                    assign word = words;
                end
            end
            always @(posedge clk) begin
                valid <= read_valid[p];
                if (valid) read_data[p*WIDTH+:WIDTH] <= word;
                else read_data[p*WIDTH+:WIDTH] <= {WIDTH{1'b0}};
            end
        end
    endgenerate
endmodule
