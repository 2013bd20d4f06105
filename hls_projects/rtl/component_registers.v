// The label registers, and the three stages that MERGES edges pass through, a new set every cycle:
//   read       labels of both ends
//   resolve    what the edges before in the same set join is applied; label b becomes label a, the smaller one
//   broadcast  every register that holds a b takes its a
// The merges in the broadcast stage are forwarded to both stages before, so that none is ever missed.
module component_registers #(
    parameter integer MAX_NODES = 256,
    parameter integer MERGES = 4,
    parameter integer LABEL_BITS = 8
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire clear,  // the next cycle begins a new graph: each node has its own index as label
    input  wire [MERGES-1:0] edge_valid,
    input  wire [MERGES*LABEL_BITS-1:0] edge_sender,
    input  wire [MERGES*LABEL_BITS-1:0] edge_receiver,
    output wire merging,
    output wire [MAX_NODES*LABEL_BITS-1:0] labels,
    output wire [MAX_NODES-1:0] in_track
);
    localparam integer B = LABEL_BITS;

    reg [MERGES-1:0] read_valid;
    reg [MERGES*B-1:0] read_a, read_b;
    reg [MERGES-1:0] merge_valid;
    reg [MERGES*B-1:0] merge_from, merge_to;

    assign merging = |edge_valid || |read_valid || |merge_valid;

    // The label that a merge in the broadcast stage leaves of a label.
    function [B-1:0] forwarded;
        input [B-1:0] value;
        input [MERGES-1:0] valid;
        input [MERGES*B-1:0] from;
        input [MERGES*B-1:0] to;
        integer k;
        reg hit;
        begin
            forwarded = {B{1'b0}};
            hit = 1'b0;
            for (k = 0; k < MERGES; k = k + 1)
                if (valid[k] && value == from[k*B +: B]) begin
                    hit = 1'b1;
                    forwarded = forwarded | to[k*B +: B];
                end
            if (!hit) forwarded = value;
        end
    endfunction

    // ---- Read: bit planes, so that one bit of all labels is one vector to choose from.
    wire [(1<<B)-1:0] planes [0:B-1];
    wire [MERGES*B-1:0] held_a, held_b;
    genvar i, p, m;
    generate
        for (p = 0; p < B; p = p + 1) begin : plane
            for (i = 0; i < (1 << B); i = i + 1) begin : bits
                assign planes[p][i] = i < MAX_NODES ? labels[(i < MAX_NODES ? i : 0)*B + p] : 1'b0;
            end
            for (m = 0; m < MERGES; m = m + 1) begin : port
                assign held_a[m*B + p] = planes[p][edge_sender[m*B +: B]];
                assign held_b[m*B + p] = planes[p][edge_receiver[m*B +: B]];
            end
        end
        for (m = 0; m < MERGES; m = m + 1) begin : read
            always @(posedge aclk) begin
                read_valid[m] <= aresetn && edge_valid[m];
                read_a[m*B +: B] <= forwarded(held_a[m*B +: B], merge_valid, merge_from, merge_to);
                read_b[m*B +: B] <= forwarded(held_b[m*B +: B], merge_valid, merge_from, merge_to);
            end
        end
    endgenerate

    // ---- Resolve, in order.
    reg [MERGES*B-1:0] a, b, from, to;
    reg [MERGES-1:0] valid;
    reg [B-1:0] low, high;
    integer k, j;
    always @* begin
        for (k = 0; k < MERGES; k = k + 1) begin
            a[k*B +: B] = forwarded(read_a[k*B +: B], merge_valid, merge_from, merge_to);
            b[k*B +: B] = forwarded(read_b[k*B +: B], merge_valid, merge_from, merge_to);
        end
        valid = {MERGES{1'b0}};
        from = {MERGES*B{1'b0}};
        to = {MERGES*B{1'b0}};
        low = {B{1'b0}};
        high = {B{1'b0}};
        for (k = 0; k < MERGES; k = k + 1) begin
            low = a[k*B +: B] < b[k*B +: B] ? a[k*B +: B] : b[k*B +: B];
            high = a[k*B +: B] < b[k*B +: B] ? b[k*B +: B] : a[k*B +: B];
            valid[k] = read_valid[k] && a[k*B +: B] != b[k*B +: B];
            for (j = 0; j < MERGES; j = j + 1) begin
                if (j > k && valid[k] && a[j*B +: B] == high) a[j*B +: B] = low;
                if (j > k && valid[k] && b[j*B +: B] == high) b[j*B +: B] = low;
                if (j < k && valid[k] && to[j*B +: B] == high) to[j*B +: B] = low;
            end
            from[k*B +: B] = high;
            to[k*B +: B] = low;
        end
    end

    always @(posedge aclk) begin
        merge_valid <= aresetn ? valid : {MERGES{1'b0}};
        merge_from <= from;
        merge_to <= to;
    end

    // ---- Broadcast.
    generate
        for (i = 0; i < MAX_NODES; i = i + 1) begin : node
            localparam [31:0] INDEX = i;
            reg [B-1:0] label;
            reg joined;  // the node is the smallest of a component of several
            reg chosen;
            integer n;
            always @* begin
                chosen = 1'b0;
                for (n = 0; n < MERGES; n = n + 1)
                    if (merge_valid[n] && merge_to[n*B +: B] == INDEX[B-1:0]) chosen = 1'b1;
            end
            always @(posedge aclk) begin
                if (clear) begin
                    label <= INDEX[B-1:0];
                    joined <= 1'b0;
                end else begin
                    label <= forwarded(label, merge_valid, merge_from, merge_to);
                    joined <= joined || chosen;
                end
            end
            assign labels[i*B +: B] = label;
            assign in_track[i] = joined || label != INDEX[B-1:0];
        end
    endgenerate
endmodule
