// Takes the header of each graph and, when every pass is done with it, gives its status. Graphs keep their order; a
// graph that is too large counts as empty for everything behind the input streams.
module hitfabric_graphs #(
    parameter GRAPH_BITS = 4,
    parameter MOST_NODES = 65535,
    parameter MOST_EDGES = 65535
) (
    input  wire clk,
    input  wire rst,
    input  wire busy,  // clearing memories after reset
    input  wire [31:0] header,  // nodes, edges
    input  wire header_valid,
    output wire header_ready,
    output wire write,
    output wire [GRAPH_BITS-2:0] write_slot,
    output wire too_many_nodes,
    output wire too_many_edges,
    output reg  [GRAPH_BITS-1:0] accepted,
    output reg  [GRAPH_BITS-1:0] reported,
    input  wire done,
    input  wire [35:0] report,  // of the graph in slot `reported`
    output reg  [63:0] status,
    output reg  status_valid,
    input  wire status_ready
);
    localparam [GRAPH_BITS-1:0] ONE = 1;
    localparam [16:0] NODES = MOST_NODES;
    localparam [16:0] EDGES = MOST_EDGES;
    wire [GRAPH_BITS-1:0] under_way = accepted - reported;
    wire take = done && (!status_valid || status_ready);
    assign header_ready = !under_way[GRAPH_BITS-1] && !busy && !rst;
    assign write = header_valid && header_ready;
    assign write_slot = accepted[GRAPH_BITS-2:0];
    assign too_many_nodes = {1'b0, header[15:0]} > NODES;
    assign too_many_edges = {1'b0, header[31:16]} > EDGES;
    always @(posedge clk) begin
        if (take) status <= {28'd0, report};
        if (rst) begin
            accepted <= {GRAPH_BITS{1'b0}};
            reported <= {GRAPH_BITS{1'b0}};
            status_valid <= 1'b0;
        end else begin
            if (write) accepted <= accepted + ONE;
            if (take) reported <= reported + ONE;
            status_valid <= take || (status_valid && !status_ready);
        end
    end
endmodule
