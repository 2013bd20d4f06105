// Unsigned numbers with zeros above.
module hitfabric_extend #(
    parameter COUNT = 8,
    parameter FROM = 8,
    parameter TO = 16
) (
    input  wire [COUNT*FROM-1:0] d,
    output wire [COUNT*TO-1:0] q
);
    genvar i;
    generate
        for (i = 0; i < COUNT; i = i + 1) begin : value
            if (TO > FROM) begin : wider
                assign q[i*TO+:TO] = {{(TO - FROM) {1'b0}}, d[i*FROM+:FROM]};
            end else begin : equal
                assign q[i*TO+:TO] = d[i*FROM+:TO];
            end
        end
    endgenerate
endmodule
