// The chosen one of COUNT words, zeros where none is; of several the bits of all.
module hitfabric_choose #(
    parameter COUNT = 8,
    parameter WIDTH = 8
) (
    input  wire [COUNT-1:0] chosen,
    input  wire [COUNT*WIDTH-1:0] words,
    output wire [WIDTH-1:0] word
);
    genvar i, w;
    generate
        for (w = 0; w < WIDTH; w = w + 1) begin : place
            wire [COUNT-1:0] bits;
            for (i = 0; i < COUNT; i = i + 1) begin : of_word
                assign bits[i] = chosen[i] && words[i*WIDTH+w];
            end
            assign word[w] = |bits;
        end
    endgenerate
endmodule
