// Geometric doublets of one graph: hits in, edges with indices and features out, as hitfabric_engine takes them.
//
// Streams (AXI4-Stream; lane 0 lowest; lane words padded with zeros to whole bytes):
//   s_axis_graph   nodes [15:0], tag [63:32]; one beat opens a graph
//   s_axis_hits    ceil(nodes / LANES) beats: r, phi, z (16 bits, grid of 2^-14 of a metre, half a turn, a metre) and
//                  layer number (8 bits); lanes beyond are ignored. Sorted by layer is fast; any order is right.
//   m_axis_graph   nodes [15:0], edges [31:16], tag [63:32]
//   m_axis_edges   ceil(edges / LANES) beats: sender, receiver (INDEX_BITS each), dr, dphi, dz, dR (16 bits, grid of
//                  2^-12); lanes beyond are zero; tlast on the last
//   m_axis_status  one beat after the edges: tag [31:0], [32] too many nodes, [33] too many edges, [34] a hit whose r or
//                  layer is out of range (it is joined to nothing), [35] tlast of the hits came at a wrong beat
// Of a graph with too many nodes or edges only the status comes.
module doublet_builder #(
    parameter integer LANES = 8,
    parameter integer LANE_BITS = 3,
    parameter integer ROW_BITS = 5,       // LANES << ROW_BITS nodes at most
    parameter integer GROUP_BITS = 1,     // log2 of the rows of senders that meet one of receivers in a cycle; 1 or 2
    parameter integer MAX_EDGES = 512,
    parameter integer DEPTH_BITS = 6,     // log2 of the beats of MAX_EDGES
    parameter integer LAYERS = 18,
    parameter integer LAYER_BITS = 5,
    parameter integer R_BITS = 13,
    parameter integer ANGLE_BITS = 18,
    parameter integer SLOPE = 782,
    parameter integer SLOPE_BITS = 12,
    parameter integer Z0 = 245760,
    parameter integer FIFO_BITS = 6,
    // Widths that follow; not to be set.
    parameter integer INDEX_BITS = ROW_BITS + LANE_BITS + 1,
    parameter integer HIT_WORD = 56,
    parameter integer EDGE_WORD = (2 * INDEX_BITS + 64 + 7) / 8 * 8
) (
    input  wire aclk,
    input  wire aresetn,
    /* verilator lint_off UNUSEDSIGNAL */
    input  wire [63:0] s_axis_graph_tdata,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire s_axis_graph_tvalid,
    output wire s_axis_graph_tready,
    input  wire [LANES*HIT_WORD-1:0] s_axis_hits_tdata,
    input  wire s_axis_hits_tvalid,
    input  wire s_axis_hits_tlast,
    output wire s_axis_hits_tready,
    output wire [63:0] m_axis_graph_tdata,
    output wire m_axis_graph_tvalid,
    input  wire m_axis_graph_tready,
    output wire [LANES*EDGE_WORD-1:0] m_axis_edges_tdata,
    output wire m_axis_edges_tvalid,
    output wire m_axis_edges_tlast,
    input  wire m_axis_edges_tready,
    output wire [63:0] m_axis_status_tdata,
    output wire m_axis_status_tvalid,
    input  wire m_axis_status_tready
);
    localparam integer MAX_NODES = LANES << ROW_BITS;
    localparam integer HIT_BITS = LAYER_BITS + R_BITS + 47;
    localparam integer EDGE_BITS = 2 * INDEX_BITS + 64;
    localparam [1:0] WAIT = 2'd0, TAKE = 2'd1, FLUSH = 2'd2;

    // ---- Hits enter one of two banks.
    reg [1:0] state;
    reg load_bank;
    reg [1:0] full;
    reg [15:0] hits_left;
    reg [15:0] bank_nodes [0:1];
    reg [31:0] bank_tag [0:1];
    reg [1:0] bank_over, bank_bad, bank_length;
    reg [ROW_BITS-1:0] write_row;
    reg [4:0] under_way;  // beats in the stages of doublet_hit
    wire [LANES-1:0] hit_valid, hit_bad;
    wire [LANES*LAYER_BITS-1:0] hit_layer;
    wire [LANES*ANGLE_BITS-1:0] hit_low, hit_high;
    wire [LANES*HIT_BITS-1:0] hits;
    wire header = s_axis_graph_tvalid && s_axis_graph_tready;
    wire beat = s_axis_hits_tvalid && s_axis_hits_tready;
    wire last_beat = hits_left <= LANES[15:0];
    wire loaded = state == FLUSH && under_way == 0;
    wire write = under_way[4];

    assign s_axis_graph_tready = state == WAIT && !full[load_bank];
    assign s_axis_hits_tready = state == TAKE;

    always @(posedge aclk) begin
        if (!aresetn) begin
            state <= WAIT;
            load_bank <= 1'b0;
            under_way <= 5'd0;
        end else begin
            if (header) state <= s_axis_graph_tdata[15:0] == 16'd0 ? FLUSH : TAKE;
            if (beat && last_beat) state <= FLUSH;
            if (loaded) begin
                state <= WAIT;
                load_bank <= !load_bank;
            end
            under_way <= {under_way[3:0], beat && !bank_over[load_bank]};
        end
        if (header) begin
            hits_left <= s_axis_graph_tdata[15:0];
            bank_nodes[load_bank] <= s_axis_graph_tdata[15:0];
            bank_tag[load_bank] <= s_axis_graph_tdata[63:32];
            bank_over[load_bank] <= s_axis_graph_tdata[15:0] > MAX_NODES[15:0];
            bank_bad[load_bank] <= 1'b0;
            bank_length[load_bank] <= 1'b0;
            write_row <= {ROW_BITS{1'b0}};
        end else begin
            if (beat) begin
                hits_left <= hits_left - LANES[15:0];
                bank_length[load_bank] <= bank_length[load_bank] || s_axis_hits_tlast != last_beat;
            end
            if (write) begin
                write_row <= write_row + 1'b1;
                bank_bad[load_bank] <= bank_bad[load_bank] || |hit_bad;
            end
        end
    end

    // ---- Search of one bank, cuts of the same or the other; edges go to one of two halves of the output memory.
    localparam integer CUT_STAGES = GROUP_BITS == 1 ? 5 : 7;  // from the end of the pairs to that of the edges
    localparam integer FINISH_STAGES = CUT_STAGES + LANE_BITS + 2;  // to the last edge in memory
    reg search_bank, searching, cut_bank, open, cut_half;
    reg [1:0] started, searched;   // banks
    reg [1:0] claimed, ready;      // halves in use, and those that hold a graph to send
    reg [FINISH_STAGES:1] finish, finish_half;
    wire search_busy, too_many, found_valid;
    wire [LANES-1:0] quiet, nearly_full, edge_valid;
    wire [LANES*EDGE_BITS-1:0] edge_words;
    wire [ROW_BITS-1:0] found_row;
    wire [ROW_BITS-GROUP_BITS-1:0] found_group;
    wire [LANES*(LANES<<GROUP_BITS)-1:0] found;
    wire [15:0] edges;
    wire start = full[search_bank] && !started[search_bank] && !searching;
    wire last_pair = open && searched[cut_bank] && &quiet;
    wire counted = finish[CUT_STAGES];
    wire written = finish[FINISH_STAGES];
    /* verilator lint_off UNUSEDSIGNAL */
    wire [15:0] build_rows = (bank_nodes[search_bank] + LANES[15:0] - 16'd1) >> LANE_BITS;
    /* verilator lint_on UNUSEDSIGNAL */
    wire [ROW_BITS:0] rows = bank_over[search_bank] ? {(ROW_BITS+1){1'b0}} : build_rows[ROW_BITS:0];
    wire sent;
    reg read_half;

    always @(posedge aclk) begin
        if (!aresetn) begin
            full <= 2'b00;
            started <= 2'b00;
            searched <= 2'b00;
            claimed <= 2'b00;
            ready <= 2'b00;
            search_bank <= 1'b0;
            searching <= 1'b0;
            cut_bank <= 1'b0;
            open <= 1'b0;
            cut_half <= 1'b0;
            finish <= {FINISH_STAGES{1'b0}};
        end else begin
            if (loaded) full[load_bank] <= 1'b1;
            if (start) begin
                searching <= 1'b1;
                started[search_bank] <= 1'b1;
            end
            if (searching && !search_busy) begin
                searching <= 1'b0;
                searched[search_bank] <= 1'b1;
                search_bank <= !search_bank;
            end
            if (!open && started[cut_bank] && !claimed[cut_half]) begin
                open <= 1'b1;
                claimed[cut_half] <= 1'b1;
            end
            if (last_pair) begin
                open <= 1'b0;
                full[cut_bank] <= 1'b0;
                started[cut_bank] <= 1'b0;
                searched[cut_bank] <= 1'b0;
                cut_bank <= !cut_bank;
                cut_half <= !cut_half;
            end
            finish <= {finish[FINISH_STAGES-1:1], last_pair};
            if (written) ready[finish_half[FINISH_STAGES]] <= 1'b1;
            if (sent) begin
                ready[read_half] <= 1'b0;
                claimed[read_half] <= 1'b0;
            end
        end
        finish_half <= {finish_half[FINISH_STAGES-1:1], cut_half};
    end

    doublet_search #(
        .LANES(LANES), .ROW_BITS(ROW_BITS), .GROUP_BITS(GROUP_BITS), .LAYERS(LAYERS), .LAYER_BITS(LAYER_BITS),
        .ANGLE_BITS(ANGLE_BITS)
    ) search (
        .aclk(aclk), .aresetn(aresetn), .clear(header), .write(write), .write_bank(load_bank), .write_row(write_row),
        .write_valid(hit_valid), .write_layer(hit_layer), .write_low(hit_low), .write_high(hit_high), .start(start),
        .bank(search_bank), .rows(rows), .hold(|nearly_full), .busy(search_busy), .found_valid(found_valid),
        .found_row(found_row), .found_group(found_group), .found(found)
    );

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane
            wire [HIT_WORD-1:0] word = s_axis_hits_tdata[l*HIT_WORD +: HIT_WORD];
            wire [LAYER_BITS-1:0] layer;
            wire [R_BITS+46:0] place;
            doublet_hit #(
                .LAYERS(LAYERS), .LAYER_BITS(LAYER_BITS), .R_BITS(R_BITS), .ANGLE_BITS(ANGLE_BITS), .SLOPE(SLOPE),
                .SLOPE_BITS(SLOPE_BITS)
            ) hit (
                .aclk(aclk), .given(beat && hits_left > l), .r(word[15:0]), .phi(word[31:16]), .z(word[47:32]),
                .layer(word[55:48]), .valid(hit_valid[l]), .bad(hit_bad[l]), .hit_layer(layer),
                .low(hit_low[l*ANGLE_BITS +: ANGLE_BITS]), .high(hit_high[l*ANGLE_BITS +: ANGLE_BITS]), .place(place)
            );
            assign hit_layer[l*LAYER_BITS +: LAYER_BITS] = layer;
            assign hits[l*HIT_BITS +: HIT_BITS] = {layer, place};

            doublet_cuts #(
                .LANES(LANES), .LANE_BITS(LANE_BITS), .LANE(l), .ROW_BITS(ROW_BITS), .GROUP_BITS(GROUP_BITS),
                .LAYER_BITS(LAYER_BITS), .R_BITS(R_BITS), .Z0(Z0), .FIFO_BITS(FIFO_BITS), .INDEX_BITS(INDEX_BITS)
            ) cuts (
                .aclk(aclk), .aresetn(aresetn), .write(write), .write_place({load_bank, write_row}), .write_hits(hits),
                .found_valid(found_valid), .found_bank(search_bank), .found_group(found_group), .found_row(found_row),
                .found(found[l*(LANES<<GROUP_BITS) +: LANES<<GROUP_BITS]), .nearly_full(nearly_full[l]), .open(open),
                .bank(cut_bank), .quiet(quiet[l]), .edge_valid(edge_valid[l]),
                .edge_word(edge_words[l*EDGE_BITS +: EDGE_BITS])
            );
        end
    endgenerate

    // ---- Header, edges and status leave.
    reg [15:0] half_nodes [0:1], half_edges [0:1];
    reg [31:0] half_tag [0:1];
    reg [2:0] half_faults [0:1];  // tlast, hit, too many nodes
    reg [1:0] half_too_many;
    wire [2:0] faults = half_faults[read_half];
    reg header_sent;
    reg [DEPTH_BITS:0] beat_out;
    wire over = faults[0] || half_too_many[read_half];
    wire [15:0] edges_out = half_edges[read_half];
    /* verilator lint_off UNUSEDSIGNAL */
    wire [15:0] beats_out = (edges_out + LANES[15:0] - 16'd1) >> LANE_BITS;
    /* verilator lint_on UNUSEDSIGNAL */
    wire edges_sent = over || beat_out == beats_out[DEPTH_BITS:0];
    wire [LANES*EDGE_BITS-1:0] read_words;
    assign m_axis_graph_tvalid = ready[read_half] && !over && !header_sent;
    assign m_axis_graph_tdata = {half_tag[read_half], edges_out, half_nodes[read_half]};
    assign m_axis_edges_tvalid = ready[read_half] && !edges_sent;
    assign m_axis_edges_tlast = beat_out + 1'b1 == beats_out[DEPTH_BITS:0];
    assign m_axis_status_tvalid = ready[read_half] && edges_sent && (over || header_sent);
    assign m_axis_status_tdata = {28'd0, faults[2:1], half_too_many[read_half], faults[0], half_tag[read_half]};
    assign sent = m_axis_status_tvalid && m_axis_status_tready;

    always @(posedge aclk) begin
        if (!aresetn || sent) begin
            header_sent <= 1'b0;
            beat_out <= {(DEPTH_BITS+1){1'b0}};
        end else begin
            if (m_axis_graph_tvalid && m_axis_graph_tready) header_sent <= 1'b1;
            if (m_axis_edges_tvalid && m_axis_edges_tready) beat_out <= beat_out + 1'b1;
        end
        if (!aresetn) read_half <= 1'b0;
        else if (sent) read_half <= !read_half;
        if (last_pair) begin
            half_nodes[cut_half] <= bank_nodes[cut_bank];
            half_tag[cut_half] <= bank_tag[cut_bank];
            half_faults[cut_half] <= {bank_length[cut_bank], bank_bad[cut_bank], bank_over[cut_bank]};
        end
        if (counted) begin
            half_edges[finish_half[CUT_STAGES]] <= edges;
            half_too_many[finish_half[CUT_STAGES]] <= too_many;
        end
    end

    wire pack_half = finish_half[CUT_STAGES];
    doublet_pack #(
        .LANES(LANES), .LANE_BITS(LANE_BITS), .MAX_EDGES(MAX_EDGES), .DEPTH_BITS(DEPTH_BITS), .EDGE_BITS(EDGE_BITS)
    ) pack (
        .aclk(aclk), .aresetn(aresetn), .clear(counted || !aresetn), .write_half(pack_half), .edge_valid(edge_valid),
        .edge_words(edge_words), .count(edges), .too_many(too_many), .read_half(read_half),
        .read_beat(beat_out[DEPTH_BITS-1:0]), .read_words(read_words)
    );
    generate
        for (l = 0; l < LANES; l = l + 1) begin : word_out
            wire [31:0] number = {{(31-DEPTH_BITS-LANE_BITS){1'b0}}, beat_out, {LANE_BITS{1'b0}}} + l;
            wire used = number < {16'd0, edges_out};
            assign m_axis_edges_tdata[l*EDGE_WORD +: EDGE_WORD] =
                used ? {{(EDGE_WORD-EDGE_BITS){1'b0}}, read_words[l*EDGE_BITS +: EDGE_BITS]} : {EDGE_WORD{1'b0}};
        end
    endgenerate
endmodule
