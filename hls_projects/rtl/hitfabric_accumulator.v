// Sums of some nodes for two graphs in turn. A flag per node says whether there is a sum; reading a node for the next
// pass takes its flag down, so that no cycle is spent on clearing. What the scatter-add looks at comes at once from
// distributed RAM, and a cycle later from block RAM.
module hitfabric_accumulator #(
    parameter WIDTH = 8,
    parameter BITS = 5,  // of the address, without the buffer
    parameter LOOK = 1,  // whether the scatter-add reads, too
    parameter BLOCK = 0
) (
    input  wire clk,
    input  wire clear,   // after reset
    input  wire [BITS-1:0] clear_address,
    input  wire write,
    input  wire write_buffer,
    input  wire [BITS-1:0] write_address,
    input  wire [WIDTH-1:0] write_data,
    input  wire look_buffer,
    input  wire [BITS-1:0] look_address,
    output wire look_valid,
    output wire [WIDTH-1:0] look_data,
    input  wire read,
    input  wire read_buffer,
    input  wire [BITS-1:0] read_address,
    output wire [WIDTH-1:0] read_data
);
    wire [1:0] flags, look_flags;
    wire [WIDTH-1:0] found;
    wire found_flag = flags[read_buffer];
    genvar h;
    generate
        for (h = 0; h < 2; h = h + 1) begin : buffer
            localparam [0:0] NUMBER = h;
            (* ram_style = "distributed" *) reg flag[0:(1<<BITS)-1];
            wire mine = write && write_buffer == NUMBER;
            wire taken = read && read_buffer == NUMBER;
            wire [BITS-1:0] address = clear ? clear_address : taken ? read_address : write_address;
            always @(posedge clk) if (clear || taken || mine) flag[address] <= !clear && !taken;
            assign flags[h] = flag[read_address];
            if (LOOK != 0) begin : separate
                wire [WIDTH-1:0] word;
                assign look_flags[h] = flag[look_address];
                if (BLOCK != 0) begin : block
                    hitfabric_ram #(.WIDTH(WIDTH), .BITS(BITS), .BLOCK(1)) ram (
                        .clk(clk), .write(mine), .write_address(write_address), .write_data(write_data),
                        .read_address(taken ? read_address : look_address), .read_data(word));
                end else begin : distributed
                    (* ram_style = "distributed" *) reg [WIDTH-1:0] words[0:(1<<BITS)-1];
                    assign word = words[taken ? read_address : look_address];
                    always @(posedge clk) if (mine) words[write_address] <= write_data;
                end
            end else begin : joined
                assign look_flags[h] = 1'b0;
            end
        end
        if (BLOCK != 0) begin : late
            reg flag_then, look_flag_then, buffer_then, look_buffer_then;
            always @(posedge clk) begin
                flag_then <= found_flag;
                look_flag_then <= look_flags[look_buffer];
                buffer_then <= read_buffer;
                look_buffer_then <= look_buffer;
            end
            assign read_data = found & {WIDTH{flag_then}};
            if (LOOK != 0) begin : two
                assign found = buffer_then ? buffer[1].separate.word : buffer[0].separate.word;
                assign look_data = look_buffer_then ? buffer[1].separate.word : buffer[0].separate.word;
                assign look_valid = look_flag_then;
            end else begin : one
                wire unused = look_flag_then | look_buffer_then | buffer_then | |look_address;
                hitfabric_ram #(.WIDTH(WIDTH), .BITS(BITS + 1), .BLOCK(1)) ram (
                    .clk(clk), .write(write), .write_address({write_buffer, write_address}), .write_data(write_data),
                    .read_address({read_buffer, read_address}), .read_data(found));
                assign look_data = {WIDTH{1'b0}};
                assign look_valid = 1'b0;
            end
        end else begin : early
            reg [WIDTH-1:0] data;
            assign read_data = data;
            always @(posedge clk)
                if (found_flag) data <= found;
                else data <= {WIDTH{1'b0}};
            if (LOOK != 0) begin : two
                assign found = read_buffer ? buffer[1].separate.word : buffer[0].separate.word;
                assign look_data = look_buffer ? buffer[1].separate.word : buffer[0].separate.word;
                assign look_valid = look_flags[look_buffer];
            end else begin : one
                (* ram_style = "distributed" *) reg [WIDTH-1:0] words[0:(2<<BITS)-1];
                always @(posedge clk) if (write) words[{write_buffer, write_address}] <= write_data;
                assign found = words[{read_buffer, read_address}];
                assign look_data = {WIDTH{1'b0}};
                assign look_valid = look_flags[look_buffer] & |look_address;
            end
        end
    endgenerate
endmodule
