// Test bench of the graph kernels: plain C functions over int64 arrays, called by test_kernels.py.
//
// Every function takes `graphs` graphs one after the other. The io_stream functions put all of them into the streams
// before the first call of the kernel, as hardware that overlaps graphs would find them.

#include <cstdint>

#include "nnet_dense.h"
#include "nnet_edge.h"
#include "nnet_rows.h"

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void*>* trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
}  // namespace nnet

static const unsigned NODES = 5, EDGES = 11, FEATURES = 3, OUTPUTS = 2;
typedef ap_fixed<8, 8> value_t;
typedef ap_uint<3> index_t;
typedef ap_fixed<12, 12> sum_t;  // 11 * -128
typedef ap_ufixed<7, 7> max_t;   // never below 0
typedef ap_fixed<5, 7, AP_RND_CONV, AP_SAT_SYM> narrow_t;
typedef ap_fixed<16, 16> dense_t;

template <unsigned LANES, unsigned COLUMN, bool USE_MAX, class accumulator_t>
struct graph_config : nnet::edge_config {
  static const unsigned n_node = NODES;
  static const unsigned n_edge = EDGES;
  static const unsigned n_feat = FEATURES;
  static const unsigned n_lane = LANES;
  static const unsigned column = COLUMN;
  static const bool use_max = USE_MAX;
  typedef accumulator_t accum_t;
};
template <unsigned LANES>
struct rows_config : nnet::dense_config {
  static const unsigned n_lane = LANES;
  static const unsigned n_row = DIV_ROUNDUP(EDGES, LANES);  // packets
  static const unsigned n_feat = LANES * FEATURES;
  static const unsigned n_left = FEATURES;
  static const unsigned n_right = FEATURES;
  static const unsigned n_in = FEATURES;
  static const unsigned n_out = OUTPUTS;
  static const unsigned strategy = nnet::latency;
  static const unsigned reuse_factor = 1;
  static const unsigned multiplier_limit = FEATURES * OUTPUTS;
  typedef dense_t accum_t;
  typedef value_t weight_t;
  typedef value_t bias_t;
  template <class data_T, class res_T, class CONFIG_T>
  using kernel = nnet::DenseLatency<data_T, res_T, CONFIG_T>;
};

static value_t weights[FEATURES * OUTPUTS] = {1, -2, 3, 4, -5, 6};  // [in][out]
static value_t biases[OUTPUTS] = {7, -8};

template <class T, unsigned SIZE>
struct flat {
  T data[SIZE];
  flat() {}
  explicit flat(const int64_t* source) {
    for (unsigned i = 0; i < SIZE; i++) data[i] = source[i];
  }
  void store(int64_t* target) const {
    for (unsigned i = 0; i < SIZE; i++) target[i] = (int64_t)data[i].to_double();
  }
};

// A stream of packets of LANES rows, filled from and drained to arrays of `rows` rows per graph. Rows that pad the last
// packet of a graph get `padding`.
template <class T, unsigned WIDTH, unsigned LANES>
struct lanes {
  typedef nnet::array<T, WIDTH * LANES> packet_t;
  hls::stream<packet_t> stream;

  void fill(const int64_t* source, unsigned graphs, unsigned rows, int64_t padding) {
    for (unsigned g = 0; g < graphs; g++) {
      for (unsigned first = 0; first < rows; first += LANES) {
        packet_t packet;
        for (unsigned lane = 0; lane < LANES; lane++) {
          for (unsigned i = 0; i < WIDTH; i++) {
            unsigned r = first + lane;
            packet[lane * WIDTH + i] = r < rows ? source[(g * rows + r) * WIDTH + i] : padding;
          }
        }
        stream.write(packet);
      }
    }
  }

  void drain(int64_t* target, unsigned graphs, unsigned rows) {
    for (unsigned g = 0; g < graphs; g++) {
      for (unsigned first = 0; first < rows; first += LANES) {
        packet_t packet = stream.read();
        for (unsigned lane = 0; lane < LANES && first + lane < rows; lane++) {
          for (unsigned i = 0; i < WIDTH; i++) {
            target[(g * rows + first + lane) * WIDTH + i] = (int64_t)packet[lane * WIDTH + i].to_double();
          }
        }
      }
    }
  }
};

static const int64_t PADDING_VALUE = 99;     // what a layer's bias may leave in a padding row
static const int64_t PADDING_INDEX = NODES;  // marks a padding edge

template <unsigned LANES>
void gather(const int64_t* nodes, const int64_t* index, int64_t* out, unsigned graphs) {
  lanes<value_t, FEATURES, LANES> rows;
  lanes<index_t, 2, LANES> ends;
  lanes<value_t, 2 * FEATURES, LANES> result;
  rows.fill(nodes, graphs, NODES, PADDING_VALUE);
  ends.fill(index, graphs, EDGES, PADDING_INDEX);
  for (unsigned g = 0; g < graphs; g++) {
    nnet::edge_gather<typename lanes<value_t, FEATURES, LANES>::packet_t, typename lanes<index_t, 2, LANES>::packet_t,
                      typename lanes<value_t, 2 * FEATURES, LANES>::packet_t, graph_config<LANES, 1, false, sum_t> >(
        rows.stream, ends.stream, result.stream);
  }
  result.drain(out, graphs, EDGES);
}

template <unsigned LANES, unsigned COLUMN, bool USE_MAX, class result_t>
void aggregate(const int64_t* edges, const int64_t* index, int64_t* out, unsigned graphs) {
  lanes<value_t, FEATURES, LANES> rows;
  lanes<index_t, 2, LANES> ends;
  lanes<result_t, FEATURES, LANES> result;
  rows.fill(edges, graphs, EDGES, PADDING_VALUE);
  ends.fill(index, graphs, EDGES, PADDING_INDEX);
  for (unsigned g = 0; g < graphs; g++) {
    nnet::edge_aggregate<
        typename lanes<value_t, FEATURES, LANES>::packet_t, typename lanes<index_t, 2, LANES>::packet_t,
        typename lanes<result_t, FEATURES, LANES>::packet_t, graph_config<LANES, COLUMN, USE_MAX, result_t> >(
        rows.stream, ends.stream, result.stream);
  }
  result.drain(out, graphs, NODES);
}

template <unsigned COLUMN, bool USE_MAX, class result_t>
void aggregate_parallel(const int64_t* edges, const int64_t* index, int64_t* out, unsigned graphs) {
  for (unsigned g = 0; g < graphs; g++) {
    flat<value_t, EDGES * FEATURES> rows(edges + g * EDGES * FEATURES);
    flat<index_t, EDGES * 2> ends(index + g * EDGES * 2);
    flat<result_t, NODES * FEATURES> result;
    nnet::edge_aggregate<value_t, index_t, result_t, graph_config<1, COLUMN, USE_MAX, result_t> >(rows.data, ends.data,
                                                                                                  result.data);
    result.store(out + g * NODES * FEATURES);
  }
}

// ap_fixed<8, 8> to multiples of 4 in 5 bits: half to even, symmetric saturation.
template <unsigned LANES>
void requantize(const int64_t* edges, const int64_t*, int64_t* out, unsigned graphs) {
  lanes<value_t, FEATURES, LANES> rows;
  lanes<narrow_t, FEATURES, LANES> result;
  rows.fill(edges, graphs, EDGES, PADDING_VALUE);
  for (unsigned g = 0; g < graphs; g++) {
    nnet::requantize<typename lanes<value_t, FEATURES, LANES>::packet_t,
                     typename lanes<narrow_t, FEATURES, LANES>::packet_t, rows_config<LANES> >(rows.stream,
                                                                                               result.stream);
  }
  result.drain(out, graphs, EDGES);
}

template <unsigned LANES>
void concatenate(const int64_t* edges, const int64_t* others, int64_t* out, unsigned graphs) {
  lanes<value_t, FEATURES, LANES> left;
  lanes<value_t, FEATURES, LANES> right;
  lanes<value_t, 2 * FEATURES, LANES> result;
  left.fill(edges, graphs, EDGES, PADDING_VALUE);
  right.fill(others, graphs, EDGES, PADDING_VALUE);
  for (unsigned g = 0; g < graphs; g++) {
    nnet::concatenate_rows<typename lanes<value_t, FEATURES, LANES>::packet_t,
                           typename lanes<value_t, FEATURES, LANES>::packet_t,
                           typename lanes<value_t, 2 * FEATURES, LANES>::packet_t, rows_config<LANES> >(
        left.stream, right.stream, result.stream);
  }
  result.drain(out, graphs, EDGES);
}

template <unsigned LANES>
void dense(const int64_t* edges, const int64_t*, int64_t* out, unsigned graphs) {
  lanes<value_t, FEATURES, LANES> rows;
  lanes<dense_t, OUTPUTS, LANES> result;
  rows.fill(edges, graphs, EDGES, PADDING_VALUE);
  for (unsigned g = 0; g < graphs; g++) {
    nnet::dense_rows<typename lanes<value_t, FEATURES, LANES>::packet_t,
                     typename lanes<dense_t, OUTPUTS, LANES>::packet_t, rows_config<LANES> >(rows.stream, result.stream,
                                                                                             weights, biases);
  }
  result.drain(out, graphs, EDGES);
}

extern "C" {

void gather_parallel(const int64_t* nodes, const int64_t* index, int64_t* out, unsigned graphs) {
  for (unsigned g = 0; g < graphs; g++) {
    flat<value_t, NODES * FEATURES> rows(nodes + g * NODES * FEATURES);
    flat<index_t, EDGES * 2> ends(index + g * EDGES * 2);
    flat<value_t, EDGES * 2 * FEATURES> result;
    nnet::edge_gather<value_t, index_t, value_t, graph_config<1, 1, false, sum_t> >(rows.data, ends.data, result.data);
    result.store(out + g * EDGES * 2 * FEATURES);
  }
}

void requantize_parallel(const int64_t* edges, const int64_t*, int64_t* out, unsigned graphs) {
  for (unsigned g = 0; g < graphs; g++) {
    flat<value_t, EDGES * FEATURES> rows(edges + g * EDGES * FEATURES);
    flat<narrow_t, EDGES * FEATURES> result;
    nnet::requantize<value_t, narrow_t, rows_config<1> >(rows.data, result.data);
    result.store(out + g * EDGES * FEATURES);
  }
}

void concatenate_parallel(const int64_t* edges, const int64_t* others, int64_t* out, unsigned graphs) {
  for (unsigned g = 0; g < graphs; g++) {
    flat<value_t, EDGES * FEATURES> left(edges + g * EDGES * FEATURES);
    flat<value_t, EDGES * FEATURES> right(others + g * EDGES * FEATURES);
    flat<value_t, EDGES * 2 * FEATURES> result;
    nnet::concatenate_rows<value_t, value_t, value_t, rows_config<1> >(left.data, right.data, result.data);
    result.store(out + g * EDGES * 2 * FEATURES);
  }
}

void dense_parallel(const int64_t* edges, const int64_t*, int64_t* out, unsigned graphs) {
  for (unsigned g = 0; g < graphs; g++) {
    flat<value_t, EDGES * FEATURES> rows(edges + g * EDGES * FEATURES);
    flat<dense_t, EDGES * OUTPUTS> result;
    nnet::dense_rows<value_t, dense_t, rows_config<1> >(rows.data, result.data, weights, biases);
    result.store(out + g * EDGES * OUTPUTS);
  }
}

#define ARGUMENTS const int64_t *features, const int64_t *second, int64_t *out, unsigned graphs

void sum0_parallel(ARGUMENTS) { aggregate_parallel<0, false, sum_t>(features, second, out, graphs); }
void sum1_parallel(ARGUMENTS) { aggregate_parallel<1, false, sum_t>(features, second, out, graphs); }
void max0_parallel(ARGUMENTS) { aggregate_parallel<0, true, max_t>(features, second, out, graphs); }
void max1_parallel(ARGUMENTS) { aggregate_parallel<1, true, max_t>(features, second, out, graphs); }

#define STREAM_FUNCTIONS(LANES)                                                                      \
  void gather_##LANES(ARGUMENTS) { gather<LANES>(features, second, out, graphs); }                   \
  void sum0_##LANES(ARGUMENTS) { aggregate<LANES, 0, false, sum_t>(features, second, out, graphs); } \
  void sum1_##LANES(ARGUMENTS) { aggregate<LANES, 1, false, sum_t>(features, second, out, graphs); } \
  void max0_##LANES(ARGUMENTS) { aggregate<LANES, 0, true, max_t>(features, second, out, graphs); }  \
  void max1_##LANES(ARGUMENTS) { aggregate<LANES, 1, true, max_t>(features, second, out, graphs); }  \
  void requantize_##LANES(ARGUMENTS) { requantize<LANES>(features, second, out, graphs); }           \
  void concatenate_##LANES(ARGUMENTS) { concatenate<LANES>(features, second, out, graphs); }         \
  void dense_##LANES(ARGUMENTS) { dense<LANES>(features, second, out, graphs); }

STREAM_FUNCTIONS(1)
STREAM_FUNCTIONS(3)
STREAM_FUNCTIONS(8)  // more lanes than nodes
}
