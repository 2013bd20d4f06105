#ifndef NNET_EDGE_H_
#define NNET_EDGE_H_

// Graph layers: edge gather and edge aggregate. docs/kernels.md explains the memories and counts the cycles.
//
// Edge index: one row per edge, (sender, receiver). An index >= n_node marks a padding edge: the gather
// gives zeros for it and the aggregate skips it. All loop bounds are static, there is no dynamic memory.
//
// io_stream: one packet carries n_lane nodes or edges, one after the other. io_parallel: flat row-major arrays.

#include "hls_stream.h"
#include "nnet_common.h"
#include "nnet_types.h"

// Node memories. In simulation they are static: too large for a stack, and they keep what the last graph left in them,
// as hardware does, so that a memory that is not written before it is read shows.
#ifdef __SYNTHESIS__
#define EDGE_MEMORY
#else
#define EDGE_MEMORY static
#endif

namespace nnet {

// Edges in flight of one lane of the scatter: reading, adding to and writing back an accumulator may take this many
// cycles.
static const unsigned edge_phases = 4;

struct edge_config {
  static const unsigned n_node = 1;        // maximal nodes
  static const unsigned n_edge = 1;        // maximal edges
  static const unsigned n_feat = 1;        // features of one input row
  static const unsigned n_lane = 1;        // nodes or edges of one packet
  static const unsigned column = 1;        // end aggregated at: 0 sender, 1 receiver
  static const bool use_max = false;       // maximum instead of sum
  static const unsigned reuse_factor = 1;  // initiation interval of the io_parallel kernels
  typedef ap_fixed<32, 16> accum_t;        // holds every partial sum exactly, proven by the writer
};

// Static sizes of the io_stream kernels.
template <typename CONFIG_T>
struct edge_sizes {
  static const unsigned node_packets = DIV_ROUNDUP(CONFIG_T::n_node, CONFIG_T::n_lane);
  static const unsigned edge_packets = DIV_ROUNDUP(CONFIG_T::n_edge, CONFIG_T::n_lane);
  static const unsigned width = CONFIG_T::n_lane * CONFIG_T::n_feat;  // of one word of the node memory: one packet
  static const unsigned ports = 2 * CONFIG_T::n_lane;                 // both ends of each lane's edge
  static const unsigned banks = edge_phases * CONFIG_T::n_lane;
};

// One step of the reduction. The maximum compares before it converts: the accumulator starts at 0 and is unsigned,
// so that a negative value would wrap to a large one.
template <class value_T, typename CONFIG_T>
typename CONFIG_T::accum_t edge_combine(typename CONFIG_T::accum_t total, value_T value) {
#pragma HLS INLINE
  typedef typename CONFIG_T::accum_t accum_t;
  if (CONFIG_T::use_max) return value > total ? accum_t(value) : total;
  return total + accum_t(value);
}

// The same as an operation of hls4ml's balanced tree, nnet::reduce.
template <typename CONFIG_T>
struct edge_reduction {
  typedef typename CONFIG_T::accum_t accum_t;
  accum_t operator()(accum_t a, accum_t b) { return edge_combine<accum_t, CONFIG_T>(a, b); }
};

// --------------------------------------------------------------------------------------------- edge gather

// Fully unrolled: one n_node:1 multiplexer per end of an edge and feature; a new graph every reuse_factor cycles.
template <class node_T, class index_T, class res_T, typename CONFIG_T>
void edge_gather(node_T nodes[CONFIG_T::n_node * CONFIG_T::n_feat], index_T edge_index[CONFIG_T::n_edge * 2],
                 res_T res[CONFIG_T::n_edge * 2 * CONFIG_T::n_feat]) {
#pragma HLS PIPELINE II = CONFIG_T::reuse_factor
  // One array per feature, indexed by the node alone: indexing the flat array would ask for multiplexers over all
  // n_node * n_feat elements.
  node_T columns[CONFIG_T::n_feat][CONFIG_T::n_node];
#pragma HLS ARRAY_PARTITION variable = columns complete dim = 0  // registers
Columns:
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
#pragma HLS UNROLL
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      columns[f][n] = nodes[n * CONFIG_T::n_feat + f];
    }
  }
Ends:
  for (unsigned end = 0; end < CONFIG_T::n_edge * 2; end++) {
#pragma HLS UNROLL
    unsigned n = (unsigned)edge_index[end];
    bool real = n < CONFIG_T::n_node;
    unsigned address = real ? n : 0;
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      res[end * CONFIG_T::n_feat + f] = real ? res_T(columns[f][address]) : res_T(0);
    }
  }
}

// First process of the io_stream gather: n_lane nodes per cycle into every copy of the node memory.
template <class node_T, typename CONFIG_T>
void edge_gather_fill(
    hls::stream<node_T>& nodes,
    typename node_T::value_type memory[edge_sizes<CONFIG_T>::ports][edge_sizes<CONFIG_T>::node_packets]
                                      [edge_sizes<CONFIG_T>::width]) {
Fill:
  for (unsigned p = 0; p < edge_sizes<CONFIG_T>::node_packets; p++) {
#pragma HLS PIPELINE II = 1  // one word of every copy per cycle
    node_T in = nodes.read();
    for (unsigned port = 0; port < edge_sizes<CONFIG_T>::ports; port++) {
#pragma HLS UNROLL
      for (unsigned i = 0; i < edge_sizes<CONFIG_T>::width; i++) {
#pragma HLS UNROLL
        memory[port][p][i] = in[i];
      }
    }
  }
}

// Second process: n_lane edges per cycle, each end from a copy of its own.
template <class value_T, class index_T, class res_T, typename CONFIG_T>
void edge_gather_read(
    value_T memory[edge_sizes<CONFIG_T>::ports][edge_sizes<CONFIG_T>::node_packets][edge_sizes<CONFIG_T>::width],
    hls::stream<index_T>& edge_index, hls::stream<res_T>& res) {
  typedef typename res_T::value_type res_t;
Edges:
  for (unsigned e = 0; e < edge_sizes<CONFIG_T>::edge_packets; e++) {
#pragma HLS PIPELINE II = 1  // one read of every copy per cycle
    index_T ends = edge_index.read();
    res_T out;
    PRAGMA_DATA_PACK(out)
    for (unsigned port = 0; port < edge_sizes<CONFIG_T>::ports; port++) {
#pragma HLS UNROLL
      unsigned n = (unsigned)ends[port];
      bool real = n < CONFIG_T::n_node;
      unsigned address = real ? n / CONFIG_T::n_lane : 0;  // n_lane is a constant: wires where it is a power of two
      unsigned first = n % CONFIG_T::n_lane * CONFIG_T::n_feat;
      value_T word[edge_sizes<CONFIG_T>::width];
#pragma HLS ARRAY_PARTITION variable = word complete  // registers: the whole word in one read, then a multiplexer
      for (unsigned i = 0; i < edge_sizes<CONFIG_T>::width; i++) {
#pragma HLS UNROLL
        word[i] = memory[port][address][i];
      }
      for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
        out[port * CONFIG_T::n_feat + f] = real ? res_t(word[first + f]) : res_t(0);
      }
    }
    res.write(out);
  }
}

// A dataflow region of two processes with the node memory between them, which the tool makes a ping-pong buffer:
// graph k + 1 fills one half while graph k is read from the other.
template <class node_T, class index_T, class res_T, typename CONFIG_T>
void edge_gather(hls::stream<node_T>& nodes, hls::stream<index_T>& edge_index, hls::stream<res_T>& res) {
#pragma HLS DATAFLOW
  typedef typename node_T::value_type value_t;
  EDGE_MEMORY value_t
      memory[edge_sizes<CONFIG_T>::ports][edge_sizes<CONFIG_T>::node_packets][edge_sizes<CONFIG_T>::width];
#pragma HLS ARRAY_PARTITION variable = memory complete dim = 1  // one copy per read port
#pragma HLS ARRAY_RESHAPE variable = memory complete dim = 3    // one word holds a packet
  edge_gather_fill<node_T, CONFIG_T>(nodes, memory);
  edge_gather_read<value_t, index_T, res_T, CONFIG_T>(memory, edge_index, res);
}

// ------------------------------------------------------------------------------------------ edge aggregate

// Fully unrolled: each node and feature reduces all edges, those of other nodes masked to 0, in a balanced tree;
// no read-modify-write. A new graph every reuse_factor cycles.
template <class edge_T, class index_T, class res_T, typename CONFIG_T>
void edge_aggregate(edge_T edges[CONFIG_T::n_edge * CONFIG_T::n_feat], index_T edge_index[CONFIG_T::n_edge * 2],
                    res_T res[CONFIG_T::n_node * CONFIG_T::n_feat]) {
#pragma HLS PIPELINE II = CONFIG_T::reuse_factor
  typedef typename CONFIG_T::accum_t accum_t;
  edge_reduction<CONFIG_T> reduction;
Nodes:
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
#pragma HLS UNROLL
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      accum_t terms[CONFIG_T::n_edge];
#pragma HLS ARRAY_PARTITION variable = terms complete  // registers
      for (unsigned e = 0; e < CONFIG_T::n_edge; e++) {
#pragma HLS UNROLL
        bool named = (unsigned)edge_index[e * 2 + CONFIG_T::column] == n;
        terms[e] = named ? edge_combine<edge_T, CONFIG_T>(0, edges[e * CONFIG_T::n_feat + f]) : accum_t(0);
      }
      res[n * CONFIG_T::n_feat + f] = reduce<accum_t, CONFIG_T::n_edge, edge_reduction<CONFIG_T> >(terms, reduction);
    }
  }
}

// First process of the io_stream aggregate: scatter into banks of partial results.
//
// Consecutive edges often name the same node, and reading, adding to and writing back an accumulator takes more than
// one cycle: a single memory would stall, or lose an update. So the edge of lane l in packet e goes to bank
// (e % edge_phases, l). One trip of the Scatter loop takes edge_phases cycles and touches each bank once, so that every
// access has edge_phases cycles to complete: still n_lane edges per cycle, and nothing is promised to the tool by a
// dependence pragma.
template <class edge_T, class index_T, typename CONFIG_T>
void edge_aggregate_scatter(
    hls::stream<edge_T>& edges, hls::stream<index_T>& edge_index,
    typename CONFIG_T::accum_t partial[edge_sizes<CONFIG_T>::banks][edge_sizes<CONFIG_T>::node_packets]
                                      [edge_sizes<CONFIG_T>::width]) {
  typedef typename CONFIG_T::accum_t accum_t;
  typedef typename edge_T::value_type value_t;
Clear:
  for (unsigned p = 0; p < edge_sizes<CONFIG_T>::node_packets; p++) {
#pragma HLS PIPELINE II = 1  // one word (n_lane nodes) of every bank per cycle
    for (unsigned bank = 0; bank < edge_sizes<CONFIG_T>::banks; bank++) {
#pragma HLS UNROLL
      for (unsigned i = 0; i < edge_sizes<CONFIG_T>::width; i++) {
#pragma HLS UNROLL
        partial[bank][p][i] = 0;
      }
    }
  }
Scatter:
  for (unsigned trip = 0; trip < edge_sizes<CONFIG_T>::edge_packets; trip += edge_phases) {
#pragma HLS PIPELINE II = edge_phases  // edge_phases packets in edge_phases cycles, each to banks of its own
    for (unsigned phase = 0; phase < edge_phases; phase++) {
#pragma HLS UNROLL
      if (trip + phase < edge_sizes<CONFIG_T>::edge_packets) {
        edge_T in = edges.read();
        index_T ends = edge_index.read();
        for (unsigned lane = 0; lane < CONFIG_T::n_lane; lane++) {
#pragma HLS UNROLL
          unsigned n = (unsigned)ends[2 * lane + CONFIG_T::column];
          if (n < CONFIG_T::n_node) {
            const unsigned bank = phase * CONFIG_T::n_lane + lane;
            unsigned address = n / CONFIG_T::n_lane;
            unsigned first = n % CONFIG_T::n_lane * CONFIG_T::n_feat;
            accum_t word[edge_sizes<CONFIG_T>::width];
#pragma HLS ARRAY_PARTITION variable = word complete  // registers: the whole word is read, changed and written back
            for (unsigned i = 0; i < edge_sizes<CONFIG_T>::width; i++) {
#pragma HLS UNROLL
              word[i] = partial[bank][address][i];
            }
            for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
              word[first + f] = edge_combine<value_t, CONFIG_T>(word[first + f], in[lane * CONFIG_T::n_feat + f]);
            }
            for (unsigned i = 0; i < edge_sizes<CONFIG_T>::width; i++) {
#pragma HLS UNROLL
              partial[bank][address][i] = word[i];
            }
          }
        }
      }
    }
  }
}

// Second process: reduces the banks, n_lane nodes per cycle.
template <class res_T, typename CONFIG_T>
void edge_aggregate_collect(
    typename CONFIG_T::accum_t partial[edge_sizes<CONFIG_T>::banks][edge_sizes<CONFIG_T>::node_packets]
                                      [edge_sizes<CONFIG_T>::width],
    hls::stream<res_T>& res) {
  typedef typename CONFIG_T::accum_t accum_t;
  const unsigned banks = edge_sizes<CONFIG_T>::banks;
  edge_reduction<CONFIG_T> reduction;
Collect:
  for (unsigned p = 0; p < edge_sizes<CONFIG_T>::node_packets; p++) {
#pragma HLS PIPELINE II = 1  // one word of every bank per cycle
    res_T out;
    PRAGMA_DATA_PACK(out)
    for (unsigned i = 0; i < edge_sizes<CONFIG_T>::width; i++) {
#pragma HLS UNROLL
      accum_t terms[banks];
#pragma HLS ARRAY_PARTITION variable = terms complete  // registers: the leaves of a balanced tree
      for (unsigned bank = 0; bank < banks; bank++) {
#pragma HLS UNROLL
        terms[bank] = partial[bank][p][i];
      }
      out[i] = reduce<accum_t, banks, edge_reduction<CONFIG_T> >(terms, reduction);
    }
    res.write(out);
  }
}

// A dataflow region of two processes with the banks between them, which the tool makes a ping-pong buffer:
// graph k + 1 is scattered into one half while graph k is collected from the other.
template <class edge_T, class index_T, class res_T, typename CONFIG_T>
void edge_aggregate(hls::stream<edge_T>& edges, hls::stream<index_T>& edge_index, hls::stream<res_T>& res) {
#pragma HLS DATAFLOW
  typedef typename CONFIG_T::accum_t accum_t;
  EDGE_MEMORY accum_t
      partial[edge_sizes<CONFIG_T>::banks][edge_sizes<CONFIG_T>::node_packets][edge_sizes<CONFIG_T>::width];
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 1  // one memory per bank
#pragma HLS ARRAY_RESHAPE variable = partial complete dim = 3    // one word holds n_lane nodes
  edge_aggregate_scatter<edge_T, index_T, CONFIG_T>(edges, edge_index, partial);
  edge_aggregate_collect<res_T, CONFIG_T>(partial, res);
}

}  // namespace nnet

#endif
