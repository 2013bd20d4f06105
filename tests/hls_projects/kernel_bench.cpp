// Test bench of the graph kernels: plain C functions over int64 arrays, called by test_kernels.py.

#include <cstdint>

#include "nnet_edge.h"

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void*>* trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
}  // namespace nnet

static const unsigned NODES = 5, EDGES = 11, FEATURES = 3;
typedef ap_fixed<8, 8> value_t;
typedef ap_uint<3> index_t;
typedef nnet::array<value_t, FEATURES> row_t;
typedef nnet::array<value_t, 2 * FEATURES> pair_t;
typedef nnet::array<index_t, 2> ends_t;
typedef ap_fixed<12, 12> sum_t;  // 11 * -128
typedef ap_ufixed<7, 7> max_t;   // never below 0
typedef ap_fixed<5, 7, AP_RND_CONV, AP_SAT_SYM> narrow_t;

struct sizes : nnet::edge_config {
  static const unsigned n_node = NODES;
  static const unsigned n_edge = EDGES;
  static const unsigned n_feat = FEATURES;
  static const unsigned n_row = EDGES;
};
template <unsigned COLUMN>
struct sum_config : sizes {
  static const unsigned column = COLUMN;
  typedef sum_t accum_t;
};
template <unsigned COLUMN>
struct max_config : sizes {
  static const unsigned column = COLUMN;
  static const bool use_max = true;
  typedef max_t accum_t;
};

template <class T, unsigned SIZE>
struct flat {
  T data[SIZE];
  explicit flat(const int64_t* source) {
    for (unsigned i = 0; i < SIZE; i++) data[i] = source[i];
  }
  flat() {}
  void store(int64_t* target) const {
    for (unsigned i = 0; i < SIZE; i++) target[i] = (int64_t)data[i].to_double();
  }
};

template <class PACKET>
void fill(hls::stream<PACKET>& stream, const int64_t* source, unsigned rows) {
  for (unsigned r = 0; r < rows; r++) {
    PACKET packet;
    for (unsigned i = 0; i < PACKET::size; i++) packet[i] = source[r * PACKET::size + i];
    stream.write(packet);
  }
}

template <class PACKET>
void drain(hls::stream<PACKET>& stream, int64_t* target, unsigned rows) {
  for (unsigned r = 0; r < rows; r++) {
    PACKET packet = stream.read();
    for (unsigned i = 0; i < PACKET::size; i++) target[r * PACKET::size + i] = (int64_t)packet[i].to_double();
  }
}

template <class result_t, class CONFIG>
void aggregate_parallel(const int64_t* edges, const int64_t* index, int64_t* out) {
  flat<value_t, EDGES * FEATURES> rows(edges);
  flat<index_t, EDGES * 2> ends(index);
  flat<result_t, NODES * FEATURES> result;
  nnet::edge_aggregate<value_t, index_t, result_t, CONFIG>(rows.data, ends.data, result.data);
  result.store(out);
}

template <class result_t, class CONFIG>
void aggregate_stream(const int64_t* edges, const int64_t* index, int64_t* out) {
  typedef nnet::array<result_t, FEATURES> packet_t;
  hls::stream<row_t> rows;
  hls::stream<ends_t> ends;
  hls::stream<packet_t> result;
  fill(rows, edges, EDGES);
  fill(ends, index, EDGES);
  nnet::edge_aggregate<row_t, ends_t, packet_t, CONFIG>(rows, ends, result);
  drain(result, out, NODES);
}

extern "C" {

void gather_parallel(const int64_t* nodes, const int64_t* index, int64_t* out) {
  flat<value_t, NODES * FEATURES> rows(nodes);
  flat<index_t, EDGES * 2> ends(index);
  flat<value_t, EDGES * 2 * FEATURES> result;
  nnet::edge_gather<value_t, index_t, value_t, sizes>(rows.data, ends.data, result.data);
  result.store(out);
}

void gather_stream(const int64_t* nodes, const int64_t* index, int64_t* out) {
  hls::stream<row_t> rows;
  hls::stream<ends_t> ends;
  hls::stream<pair_t> result;
  fill(rows, nodes, NODES);
  fill(ends, index, EDGES);
  nnet::edge_gather<row_t, ends_t, pair_t, sizes>(rows, ends, result);
  drain(result, out, EDGES);
}

void sum0_parallel(const int64_t* e, const int64_t* i, int64_t* o) {
  aggregate_parallel<sum_t, sum_config<0>>(e, i, o);
}
void sum1_parallel(const int64_t* e, const int64_t* i, int64_t* o) {
  aggregate_parallel<sum_t, sum_config<1>>(e, i, o);
}
void max0_parallel(const int64_t* e, const int64_t* i, int64_t* o) {
  aggregate_parallel<max_t, max_config<0>>(e, i, o);
}
void max1_parallel(const int64_t* e, const int64_t* i, int64_t* o) {
  aggregate_parallel<max_t, max_config<1>>(e, i, o);
}
void sum0_stream(const int64_t* e, const int64_t* i, int64_t* o) { aggregate_stream<sum_t, sum_config<0>>(e, i, o); }
void sum1_stream(const int64_t* e, const int64_t* i, int64_t* o) { aggregate_stream<sum_t, sum_config<1>>(e, i, o); }
void max0_stream(const int64_t* e, const int64_t* i, int64_t* o) { aggregate_stream<max_t, max_config<0>>(e, i, o); }
void max1_stream(const int64_t* e, const int64_t* i, int64_t* o) { aggregate_stream<max_t, max_config<1>>(e, i, o); }

// ap_fixed<8, 8> to multiples of 4 in 5 bits: half to even, symmetric saturation.
void requantize_parallel(const int64_t* edges, const int64_t*, int64_t* out) {
  flat<value_t, EDGES * FEATURES> rows(edges);
  flat<narrow_t, EDGES * FEATURES> result;
  nnet::requantize<value_t, narrow_t, sizes>(rows.data, result.data);
  result.store(out);
  for (unsigned i = 0; i < EDGES * FEATURES; i++) out[i] /= 4;
}

void requantize_stream(const int64_t* edges, const int64_t*, int64_t* out) {
  typedef nnet::array<narrow_t, FEATURES> packet_t;
  hls::stream<row_t> rows;
  hls::stream<packet_t> result;
  fill(rows, edges, EDGES);
  nnet::requantize<row_t, packet_t, sizes>(rows, result);
  drain(result, out, EDGES);
  for (unsigned i = 0; i < EDGES * FEATURES; i++) out[i] /= 4;
}
}
