#ifndef NNET_EDGE_H_
#define NNET_EDGE_H_

// Graph layers of hitfabric for hls4ml's Quartus backend: edge gather, edge aggregate, requantize.
//
// Edge index: one row per edge, (sender, receiver). An index >= n_node marks a padding edge: the gather
// gives zeros for it and the aggregate skips it. All loop bounds are static, there is no dynamic memory.
//
// io_stream: one packet is the feature vector of one node or edge. io_parallel: flat row-major arrays.
// Same functions and configurations as the AMD kernels, in Intel HLS' dialect: ac_fixed, and pragmas without a
// vendor's prefix (`ii` is the initiation interval of the loop that follows, `unroll` lays it out in space).

#include "nnet_common.h"
#include "nnet_types.h"

namespace nnet {

struct edge_config {
  static const unsigned n_node = 1;        // maximal nodes
  static const unsigned n_edge = 1;        // maximal edges
  static const unsigned n_feat = 1;        // features of one input row
  static const unsigned column = 1;        // end aggregated at: 0 sender, 1 receiver
  static const bool use_max = false;       // maximum instead of sum
  typedef ac_fixed<32, 16, true> accum_t;  // holds every partial sum exactly, proven by the writer
};

// Rows in flight in the io_stream scatter. Read, add and write of one accumulator may take this many cycles.
static const unsigned edge_banks = 4;

// The same value in a signed type. ac_fixed loses the carry when an unsigned value rounds up past the target's last
// 32-bit word (34 bits all ones to 8 bits, two of them dropped: 0 instead of saturation); a signed source keeps it.
template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O>
ac_fixed<W + !S, I + !S, true> edge_signed(const ac_fixed<W, I, S, Q, O>& value) {
  return value;
}

template <int W, bool S>
ac_int<W + !S, true> edge_signed(const ac_int<W, S>& value) {
  return value;
}

// One step of the reduction. The maximum compares before it converts: the accumulator starts at 0 and may be
// unsigned, so that a negative value would wrap to a large one.
template <class value_T, typename CONFIG_T>
typename CONFIG_T::accum_t edge_combine(typename CONFIG_T::accum_t total, value_T value) {
  typedef typename CONFIG_T::accum_t accum_t;
  if (CONFIG_T::use_max) return value > total ? accum_t(value) : total;
  return total + accum_t(value);
}

// ---------------------------------------------------------------------------------------------- requantize

// Fully unrolled: one converter per element.
template <class data_T, class res_T, typename CONFIG_T>
void requantize(data_T data[CONFIG_T::n_row * CONFIG_T::n_feat], res_T res[CONFIG_T::n_row * CONFIG_T::n_feat]) {
Convert:
#pragma unroll
  for (unsigned i = 0; i < CONFIG_T::n_row * CONFIG_T::n_feat; i++) {
    res[i] = edge_signed(data[i]);
  }
}

template <class data_T, class res_T, typename CONFIG_T>
void requantize(stream<data_T>& data, stream<res_T>& res) {
Convert:
#pragma ii 1  // one row per cycle
  for (unsigned r = 0; r < CONFIG_T::n_row; r++) {
    data_T in = data.read();
    hls_register res_T out;
#pragma unroll
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
      out[f] = edge_signed(in[f]);
    }
    res.write(out);
  }
}

// --------------------------------------------------------------------------------------------- edge gather

// Fully unrolled: two n_node:1 multiplexers per edge and feature.
template <class node_T, class index_T, class res_T, typename CONFIG_T>
void edge_gather(node_T nodes[CONFIG_T::n_node * CONFIG_T::n_feat], index_T edge_index[CONFIG_T::n_edge * 2],
                 res_T res[CONFIG_T::n_edge * 2 * CONFIG_T::n_feat]) {
Ends:
#pragma unroll
  for (unsigned end = 0; end < CONFIG_T::n_edge * 2; end++) {
    unsigned n = edge_index[end].to_uint();
#pragma unroll
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
      res[end * CONFIG_T::n_feat + f] = n < CONFIG_T::n_node ? res_T(nodes[n * CONFIG_T::n_feat + f]) : res_T(0);
    }
  }
}

// n_node cycles to fill the node memory, then one edge per cycle. Both ends are read in the same cycle: the compiler
// gives the memory two read ports, or replicates it.
template <class node_T, class index_T, class res_T, typename CONFIG_T>
void edge_gather(stream<node_T>& nodes, stream<index_T>& edge_index, stream<res_T>& res) {
  typename node_T::value_type memory[CONFIG_T::n_node][CONFIG_T::n_feat];
Fill:
#pragma ii 1  // one node per cycle
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
    node_T in = nodes.read();
#pragma unroll
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
      memory[n][f] = in[f];
    }
  }
Edges:
#pragma ii 1  // one edge per cycle
  for (unsigned e = 0; e < CONFIG_T::n_edge; e++) {
    index_T ends = edge_index.read();
    hls_register res_T out;
#pragma unroll
    for (unsigned k = 0; k < 2; k++) {
      unsigned n = ends[k].to_uint();
      bool real = n < CONFIG_T::n_node;
      unsigned address = real ? n : 0;
#pragma unroll
      for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
        typename res_T::value_type value = memory[address][f];
        out[k * CONFIG_T::n_feat + f] = real ? value : typename res_T::value_type(0);
      }
    }
    res.write(out);
  }
}

// ------------------------------------------------------------------------------------------ edge aggregate

// Fully unrolled: each node and feature reduces the edges that name it, without any read-modify-write. Sums are
// exact, so that the compiler may balance the tree.
template <class edge_T, class index_T, class res_T, typename CONFIG_T>
void edge_aggregate(edge_T edges[CONFIG_T::n_edge * CONFIG_T::n_feat], index_T edge_index[CONFIG_T::n_edge * 2],
                    res_T res[CONFIG_T::n_node * CONFIG_T::n_feat]) {
  typedef typename CONFIG_T::accum_t accum_t;
Nodes:
#pragma unroll
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
    hls_register accum_t total[CONFIG_T::n_feat];
#pragma unroll
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
      total[f] = 0;
    }
#pragma unroll
    for (unsigned e = 0; e < CONFIG_T::n_edge; e++) {
      if (edge_index[e * 2 + CONFIG_T::column].to_uint() == n) {
#pragma unroll
        for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
          total[f] = edge_combine<edge_T, CONFIG_T>(total[f], edges[e * CONFIG_T::n_feat + f]);
        }
      }
    }
#pragma unroll
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
      res[n * CONFIG_T::n_feat + f] = edge_signed(total[f]);
    }
  }
}

// Scatter with partial results. Consecutive edges often name the same node, and reading, adding and writing
// back an accumulator takes more than one cycle: a single memory would stall, or lose an update. So edge e goes
// to bank e % edge_banks. One trip of the Scatter loop takes edge_banks cycles and touches each bank once, so that
// every access has edge_banks cycles to complete: still one edge per cycle, and nothing is promised to the compiler
// by an ivdep pragma. The Collect loop reduces the banks, one node per cycle.
// Cycles: n_node (clear) + n_edge (scatter) + n_node (collect).
template <class edge_T, class index_T, class res_T, typename CONFIG_T>
void edge_aggregate(stream<edge_T>& edges, stream<index_T>& edge_index, stream<res_T>& res) {
  typedef typename CONFIG_T::accum_t accum_t;
  typedef typename edge_T::value_type value_t;
  accum_t partial[edge_banks][CONFIG_T::n_node][CONFIG_T::n_feat];
Clear:
#pragma ii 1  // one node per cycle, all banks
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
#pragma unroll
    for (unsigned b = 0; b < edge_banks; b++) {
#pragma unroll
      for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
        partial[b][n][f] = 0;
      }
    }
  }
Scatter:
#pragma ii edge_banks  // edge_banks edges in edge_banks cycles, one per bank
  for (unsigned first = 0; first < CONFIG_T::n_edge; first += edge_banks) {
#pragma unroll
    for (unsigned b = 0; b < edge_banks; b++) {
      if (first + b < CONFIG_T::n_edge) {
        edge_T in = edges.read();
        index_T ends = edge_index.read();
        unsigned n = ends[CONFIG_T::column].to_uint();
        if (n < CONFIG_T::n_node) {
#pragma unroll
          for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
            partial[b][n][f] = edge_combine<value_t, CONFIG_T>(partial[b][n][f], in[f]);
          }
        }
      }
    }
  }
Collect:
#pragma ii 1  // one node per cycle
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
    hls_register res_T out;
#pragma unroll
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
      accum_t total = 0;
#pragma unroll
      for (unsigned b = 0; b < edge_banks; b++) {
        total = edge_combine<accum_t, CONFIG_T>(total, partial[b][n][f]);
      }
      out[f] = edge_signed(total);
    }
    res.write(out);
  }
}

}  // namespace nnet

#endif
