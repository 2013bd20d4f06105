// Marks the ends of edges that are nodes of the graph, and finds the ends that are not. Per lane: sender, receiver;
// the output holds for each a mark above the node.
module hitfabric_ends #(
    parameter LANES = 8,
    parameter INDEX_BITS = 9,
    parameter NODE_BITS = 8
) (
    input  wire [15:0] nodes,
    input  wire [LANES-1:0] lanes,  // which of them hold edges
    input  wire [LANES*2*INDEX_BITS-1:0] index,
    output wire [LANES*2*(NODE_BITS+1)-1:0] ends,
    output wire outside
);
    wire [LANES*2-1:0] wrong;
    assign outside = |wrong;
    genvar i;
    generate
        for (i = 0; i < 2 * LANES; i = i + 1) begin : last
            wire [INDEX_BITS-1:0] node = index[i*INDEX_BITS+:INDEX_BITS];
            wire [16+INDEX_BITS-1:0] padded = {16'd0, node};
            wire [15:0] number = padded[15:0];
            wire is_node = number < nodes;
            wire unused = |padded[16+INDEX_BITS-1:16] | |number;
            wire [NODE_BITS+INDEX_BITS-1:0] extended = {{NODE_BITS{1'b0}}, node};
            wire more = |extended[NODE_BITS+INDEX_BITS-1:NODE_BITS];
            assign wrong[i] = lanes[i/2] && !is_node;
            assign ends[i*(NODE_BITS+1)+:NODE_BITS+1] = {lanes[i/2] && is_node && !more, extended[NODE_BITS-1:0]};
        end
    endgenerate
endmodule
