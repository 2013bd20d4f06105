// Output FIFO of an AXI4-Stream. Whoever pushes asks for room first: `room` falls as soon as `reserve` takes a place,
// so that what is still in a pipeline always finds one.
module hitfabric_fifo #(
    parameter WIDTH = 8,
    parameter DEPTH_BITS = 4
) (
    input  wire clk,
    input  wire rst,
    input  wire reserve,
    output wire room,
    input  wire push,
    input  wire [WIDTH-1:0] push_data,
    output reg  valid,
    input  wire ready,
    output reg  [WIDTH-1:0] data
);
    localparam [DEPTH_BITS:0] ONE = 1;
    (* ram_style = "distributed" *) reg [WIDTH-1:0] words[0:(1<<DEPTH_BITS)-1];
    reg [DEPTH_BITS:0] head, tail, free;
    wire take = (head != tail) && (!valid || ready);
    assign room = free != {(DEPTH_BITS + 1) {1'b0}};
    always @(posedge clk) begin
        if (push) words[head[DEPTH_BITS-1:0]] <= push_data;
        if (take) data <= words[tail[DEPTH_BITS-1:0]];
        if (rst) begin
            head <= {(DEPTH_BITS + 1) {1'b0}};
            tail <= {(DEPTH_BITS + 1) {1'b0}};
            free <= {1'b1, {DEPTH_BITS{1'b0}}};
            valid <= 1'b0;
        end else begin
            if (push) head <= head + ONE;
            if (take) tail <= tail + ONE;
            if (reserve && !take) free <= free - ONE;
            if (take && !reserve) free <= free + ONE;
            valid <= take || (valid && !ready);
        end
    end
endmodule
