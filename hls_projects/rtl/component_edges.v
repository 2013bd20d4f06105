// Threshold and check of the edges of a beat, one FIFO of accepted edges per lane, MERGES edges per cycle out.
// Merge unit k reads lanes k * LANES / MERGES and following, beginning with another one every cycle.
module component_edges #(
    parameter integer LANES = 8,
    parameter integer MERGES = 4,
    parameter integer LOGIT_BITS = 17,
    parameter integer THRESHOLD = 0,
    parameter integer FIFO_BITS = 6,
    parameter integer INDEX_BITS = 9,
    parameter integer LABEL_BITS = 8,
    parameter integer EDGE_WORD = 40
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire beat,
    input  wire [LANES*EDGE_WORD-1:0] words,
    input  wire [INDEX_BITS-1:0] nodes,
    input  wire [15:0] edges_left,
    output wire [LANES-1:0] lane_full,
    output wire [LANES-1:0] lane_empty,
    output wire [LANES-1:0] lane_bad,
    output reg  [MERGES-1:0] edge_valid,
    output reg  [MERGES*LABEL_BITS-1:0] edge_sender,
    output reg  [MERGES*LABEL_BITS-1:0] edge_receiver
);
    localparam integer GROUP = LANES / MERGES;
    localparam signed [31:0] LIMIT = THRESHOLD;

    wire [LANES*2*LABEL_BITS-1:0] lane_edge;
    wire [LANES-1:0] lane_taken;

    genvar l, m;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane
            /* verilator lint_off UNUSEDSIGNAL */
            wire [EDGE_WORD-1:0] word = words[l*EDGE_WORD +: EDGE_WORD];  // with padding
            /* verilator lint_on UNUSEDSIGNAL */
            wire [INDEX_BITS-1:0] sender = word[0 +: INDEX_BITS];
            wire [INDEX_BITS-1:0] receiver = word[INDEX_BITS +: INDEX_BITS];
            wire signed [LOGIT_BITS-1:0] limit = LIMIT[LOGIT_BITS-1:0];
            wire signed [LOGIT_BITS-1:0] logit = word[2*INDEX_BITS +: LOGIT_BITS];
            wire used = beat && edges_left > l;
            wire bad = sender >= nodes || receiver >= nodes;
            wire write = used && !bad && sender != receiver && logit >= limit;
            assign lane_bad[l] = used && bad;

            stream_fifo #(.BITS(2 * LABEL_BITS), .DEPTH_BITS(FIFO_BITS)) accepted (
                .aclk(aclk), .aresetn(aresetn), .put(write),
                .word_in({receiver[LABEL_BITS-1:0], sender[LABEL_BITS-1:0]}), .full(lane_full[l]),
                .take(lane_taken[l]), .word_out(lane_edge[l*2*LABEL_BITS +: 2*LABEL_BITS]), .empty(lane_empty[l])
            );
        end

        for (m = 0; m < MERGES; m = m + 1) begin : unit
            reg [GROUP-1:0] first;  // one-hot: the lane that comes first in this cycle
            reg [GROUP-1:0] taken;
            reg [2*LABEL_BITS-1:0] chosen;
            integer turn, place, start;

            assign lane_taken[m*GROUP +: GROUP] = taken;

            always @* begin
                taken = {GROUP{1'b0}};
                for (start = 0; start < GROUP; start = start + 1)
                    for (turn = 0; turn < GROUP; turn = turn + 1) begin
                        place = (start + turn) % GROUP;
                        if (first[start] && taken == 0) taken[place] = !lane_empty[m*GROUP + place];
                    end
                chosen = {2*LABEL_BITS{1'b0}};
                for (turn = 0; turn < GROUP; turn = turn + 1)
                    if (taken[turn]) chosen = chosen | lane_edge[(m*GROUP + turn)*2*LABEL_BITS +: 2*LABEL_BITS];
            end

            always @(posedge aclk) begin
                if (!aresetn) first <= 1;
                else first <= GROUP == 1 ? first : (first << 1) | (first >> (GROUP - 1));
                edge_valid[m] <= aresetn && |taken;
                edge_sender[m*LABEL_BITS +: LABEL_BITS] <= chosen[0 +: LABEL_BITS];
                edge_receiver[m*LABEL_BITS +: LABEL_BITS] <= chosen[LABEL_BITS +: LABEL_BITS];
            end
        end
    endgenerate
endmodule
