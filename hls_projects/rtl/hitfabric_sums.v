// Sums of some nodes for two graphs in turn. One port writes them, the other reads a sum and leaves a zero in its
// place, so that the next graph but one finds the memory empty.
module hitfabric_sums #(
    parameter WIDTH = 8,
    parameter BITS = 5
) (
    input  wire clk,
    input  wire write,
    input  wire [BITS-1:0] write_address,
    input  wire [WIDTH-1:0] write_data,
    input  wire take,
    input  wire [BITS-1:0] take_address,
    output reg  [WIDTH-1:0] taken  // a cycle later
);
    (* ram_style = "block" *) reg [WIDTH-1:0] words[0:(1<<BITS)-1];
    always @(posedge clk) if (write) words[write_address] <= write_data;
    always @(posedge clk) begin
        if (take) words[take_address] <= {WIDTH{1'b0}};
        taken <= words[take_address];
    end
endmodule
