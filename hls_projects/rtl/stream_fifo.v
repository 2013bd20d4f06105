// A FIFO whose oldest word is readable at once.
module stream_fifo #(
    parameter integer BITS = 8,
    parameter integer DEPTH_BITS = 3
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire put,
    input  wire [BITS-1:0] word_in,
    output wire full,
    input  wire take,
    output wire [BITS-1:0] word_out,
    output wire empty
);
    reg [BITS-1:0] memory [0:(1<<DEPTH_BITS)-1];
    reg [DEPTH_BITS:0] written, read;
    wire [DEPTH_BITS:0] fill = written - read;
    assign full = fill[DEPTH_BITS];
    assign empty = fill == 0;
    assign word_out = memory[read[DEPTH_BITS-1:0]];
    always @(posedge aclk) begin
        if (put) memory[written[DEPTH_BITS-1:0]] <= word_in;
        if (!aresetn) begin
            written <= 0;
            read <= 0;
        end else begin
            if (put) written <= written + 1'b1;
            if (take) read <= read + 1'b1;
        end
    end
endmodule
