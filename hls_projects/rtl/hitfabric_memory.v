// Rows in order: written and read a beat at a time, each side with lanes of its own. The narrower side is a power of
// two times narrower; a word that is read comes one cycle after its address.
module hitfabric_memory #(
    parameter WRITE_WIDTH = 8,
    parameter READ_WIDTH = 8,
    parameter WRITE_BITS = 5,  // of the address
    parameter READ_BITS = 5,
    parameter BLOCK = 1
) (
    input  wire clk,
    input  wire write,
    input  wire [WRITE_BITS-1:0] write_address,
    input  wire [WRITE_WIDTH-1:0] write_data,
    input  wire [READ_BITS-1:0] read_address,
    output wire [READ_WIDTH-1:0] read_data
);
    localparam WORD = WRITE_WIDTH < READ_WIDTH ? WRITE_WIDTH : READ_WIDTH;
    localparam BITS = WRITE_BITS < READ_BITS ? WRITE_BITS : READ_BITS;
    localparam RATIO = (WRITE_WIDTH > READ_WIDTH ? WRITE_WIDTH : READ_WIDTH) / WORD;
    localparam SHIFT_WRITE = WRITE_BITS - BITS;
    localparam SHIFT_READ = READ_BITS - BITS;
    wire [RATIO*WORD-1:0] words;
    genvar i;
    generate
        for (i = 0; i < RATIO; i = i + 1) begin : part
            wire [WORD-1:0] data;
            wire enable;
            if (WRITE_WIDTH > READ_WIDTH) begin : wide
                assign data = write_data[i*WORD+:WORD];
                assign enable = write;
            end else if (RATIO > 1) begin : narrow
                localparam [SHIFT_WRITE-1:0] NUMBER = i;
                assign data = write_data;
                assign enable = write && write_address[SHIFT_WRITE-1:0] == NUMBER;
            end else begin : equal
                assign data = write_data;
                assign enable = write;
            end
            hitfabric_ram #(.WIDTH(WORD), .BITS(BITS), .BLOCK(BLOCK)) ram (
                .clk(clk), .write(enable), .write_address(write_address[WRITE_BITS-1:SHIFT_WRITE]), .write_data(data),
                .read_address(read_address[READ_BITS-1:SHIFT_READ]), .read_data(words[i*WORD+:WORD]));
        end
        if (SHIFT_READ > 0) begin : select
            reg [SHIFT_READ-1:0] place;
            always @(posedge clk) place <= read_address[SHIFT_READ-1:0];
            assign read_data = words[place*WORD+:WORD];
        end else begin : whole
            assign read_data = words;
        end
    endgenerate
endmodule
