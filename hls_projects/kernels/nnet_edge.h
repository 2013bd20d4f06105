#ifndef NNET_EDGE_H_
#define NNET_EDGE_H_

// Graph layers of hitfabric for hls4ml: edge gather, edge aggregate, requantize.
//
// Edge index: one row per edge, (sender, receiver). An index >= n_node marks a padding edge: the gather
// gives zeros for it and the aggregate skips it. All loop bounds are static, there is no dynamic memory.
//
// io_stream: one packet is the feature vector of one node or edge. io_parallel: flat row-major arrays.

#include "hls_stream.h"
#include "nnet_common.h"
#include "nnet_types.h"

namespace nnet {

struct edge_config {
  static const unsigned n_node = 1;        // maximal nodes
  static const unsigned n_edge = 1;        // maximal edges
  static const unsigned n_feat = 1;        // features of one input row
  static const unsigned column = 1;        // end aggregated at: 0 sender, 1 receiver
  static const bool use_max = false;       // maximum instead of sum
  static const unsigned reuse_factor = 1;  // initiation interval of the io_parallel kernels
  typedef ap_fixed<32, 16> accum_t;        // holds every partial sum exactly, proven by the writer
};

// Rows in flight in the io_stream scatter. Read, add and write of one accumulator may take this many cycles.
static const unsigned edge_banks = 4;

// One step of the reduction. The maximum compares before it converts: the accumulator starts at 0 and is unsigned,
// so that a negative value would wrap to a large one.
template <class value_T, typename CONFIG_T>
typename CONFIG_T::accum_t edge_combine(typename CONFIG_T::accum_t total, value_T value) {
#pragma HLS INLINE
  typedef typename CONFIG_T::accum_t accum_t;
  if (CONFIG_T::use_max) return value > total ? accum_t(value) : total;
  return total + accum_t(value);
}

// ---------------------------------------------------------------------------------------------- requantize

template <class data_T, class res_T, typename CONFIG_T>
void requantize(data_T data[CONFIG_T::n_row * CONFIG_T::n_feat], res_T res[CONFIG_T::n_row * CONFIG_T::n_feat]) {
#pragma HLS PIPELINE II = CONFIG_T::reuse_factor
Convert:
  for (unsigned i = 0; i < CONFIG_T::n_row * CONFIG_T::n_feat; i++) {
#pragma HLS UNROLL
    res[i] = data[i];
  }
}

template <class data_T, class res_T, typename CONFIG_T>
void requantize(hls::stream<data_T>& data, hls::stream<res_T>& res) {
Convert:
  for (unsigned r = 0; r < CONFIG_T::n_row; r++) {
#pragma HLS PIPELINE II = 1  // one row per cycle
    data_T in = data.read();
    res_T out;
    PRAGMA_DATA_PACK(out)
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      out[f] = in[f];
    }
    res.write(out);
  }
}

// --------------------------------------------------------------------------------------------- edge gather

// Fully unrolled: two n_node:1 multiplexers per edge and feature; a new graph every reuse_factor cycles.
template <class node_T, class index_T, class res_T, typename CONFIG_T>
void edge_gather(node_T nodes[CONFIG_T::n_node * CONFIG_T::n_feat], index_T edge_index[CONFIG_T::n_edge * 2],
                 res_T res[CONFIG_T::n_edge * 2 * CONFIG_T::n_feat]) {
#pragma HLS PIPELINE II = CONFIG_T::reuse_factor
Ends:
  for (unsigned end = 0; end < CONFIG_T::n_edge * 2; end++) {
#pragma HLS UNROLL
    unsigned n = (unsigned)edge_index[end];
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      res[end * CONFIG_T::n_feat + f] = n < CONFIG_T::n_node ? res_T(nodes[n * CONFIG_T::n_feat + f]) : res_T(0);
    }
  }
}

// n_node cycles to fill the node memory, then one edge per cycle: both ends in the same cycle, so the node
// memory (one block per feature) is read through both of its ports.
template <class node_T, class index_T, class res_T, typename CONFIG_T>
void edge_gather(hls::stream<node_T>& nodes, hls::stream<index_T>& edge_index, hls::stream<res_T>& res) {
  typename node_T::value_type memory[CONFIG_T::n_node][CONFIG_T::n_feat];
#pragma HLS ARRAY_PARTITION variable = memory complete dim = 2
Fill:
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
#pragma HLS PIPELINE II = 1  // one node per cycle
    node_T in = nodes.read();
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      memory[n][f] = in[f];
    }
  }
Edges:
  for (unsigned e = 0; e < CONFIG_T::n_edge; e++) {
#pragma HLS PIPELINE II = 1  // one edge per cycle
    index_T ends = edge_index.read();
    res_T out;
    PRAGMA_DATA_PACK(out)
    for (unsigned k = 0; k < 2; k++) {
#pragma HLS UNROLL
      unsigned n = (unsigned)ends[k];
      bool real = n < CONFIG_T::n_node;
      unsigned address = real ? n : 0;
      for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
        typename res_T::value_type value = memory[address][f];
        out[k * CONFIG_T::n_feat + f] = real ? value : typename res_T::value_type(0);
      }
    }
    res.write(out);
  }
}

// ------------------------------------------------------------------------------------------ edge aggregate

// Fully unrolled: each node and feature reduces the edges that name it, without any read-modify-write;
// a new graph every reuse_factor cycles. Sums are exact, so that the tool may balance the tree.
template <class edge_T, class index_T, class res_T, typename CONFIG_T>
void edge_aggregate(edge_T edges[CONFIG_T::n_edge * CONFIG_T::n_feat], index_T edge_index[CONFIG_T::n_edge * 2],
                    res_T res[CONFIG_T::n_node * CONFIG_T::n_feat]) {
#pragma HLS PIPELINE II = CONFIG_T::reuse_factor
  typedef typename CONFIG_T::accum_t accum_t;
Nodes:
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
#pragma HLS UNROLL
    accum_t total[CONFIG_T::n_feat];
#pragma HLS ARRAY_PARTITION variable = total complete
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      total[f] = 0;
    }
    for (unsigned e = 0; e < CONFIG_T::n_edge; e++) {
#pragma HLS UNROLL
      if ((unsigned)edge_index[e * 2 + CONFIG_T::column] == n) {
        for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
          total[f] = edge_combine<edge_T, CONFIG_T>(total[f], edges[e * CONFIG_T::n_feat + f]);
        }
      }
    }
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      res[n * CONFIG_T::n_feat + f] = total[f];
    }
  }
}

// Scatter with partial results. Consecutive edges often name the same node, and reading, adding and writing
// back an accumulator takes more than one cycle: a single memory would stall, or lose an update. So edge e goes
// to bank e % edge_banks. One trip of the Scatter loop takes edge_banks cycles and touches each bank once, so that
// every access has edge_banks cycles to complete: still one edge per cycle, and nothing is promised to the tool
// by a dependence pragma. The Collect loop reduces the banks, one node per cycle.
// Cycles: n_node (clear) + n_edge (scatter) + n_node (collect).
template <class edge_T, class index_T, class res_T, typename CONFIG_T>
void edge_aggregate(hls::stream<edge_T>& edges, hls::stream<index_T>& edge_index, hls::stream<res_T>& res) {
  typedef typename CONFIG_T::accum_t accum_t;
  typedef typename edge_T::value_type value_t;
  accum_t partial[edge_banks][CONFIG_T::n_node][CONFIG_T::n_feat];
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 1
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 3
Clear:
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
#pragma HLS PIPELINE II = 1  // one node per cycle, all banks
    for (unsigned b = 0; b < edge_banks; b++) {
#pragma HLS UNROLL
      for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
        partial[b][n][f] = 0;
      }
    }
  }
Scatter:
  for (unsigned first = 0; first < CONFIG_T::n_edge; first += edge_banks) {
#pragma HLS PIPELINE II = edge_banks  // edge_banks edges in edge_banks cycles, one per bank
    for (unsigned b = 0; b < edge_banks; b++) {
#pragma HLS UNROLL
      if (first + b < CONFIG_T::n_edge) {
        edge_T in = edges.read();
        index_T ends = edge_index.read();
        unsigned n = (unsigned)ends[CONFIG_T::column];
        if (n < CONFIG_T::n_node) {
          for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
            partial[b][n][f] = edge_combine<value_t, CONFIG_T>(partial[b][n][f], in[f]);
          }
        }
      }
    }
  }
Collect:
  for (unsigned n = 0; n < CONFIG_T::n_node; n++) {
#pragma HLS PIPELINE II = 1  // one node per cycle
    res_T out;
    PRAGMA_DATA_PACK(out)
    for (unsigned f = 0; f < CONFIG_T::n_feat; f++) {
#pragma HLS UNROLL
      accum_t total = 0;
      for (unsigned b = 0; b < edge_banks; b++) {
#pragma HLS UNROLL
        total = edge_combine<accum_t, CONFIG_T>(total, partial[b][n][f]);
      }
      out[f] = total;
    }
    res.write(out);
  }
}

}  // namespace nnet

#endif
