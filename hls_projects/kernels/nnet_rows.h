#ifndef NNET_ROWS_H_
#define NNET_ROWS_H_

// Layers that treat every node or edge alike: requantize, concatenate, dense.
//
// io_stream: one packet carries n_lane rows, one after the other, and each lane has its own logic: n_lane rows per
// initiation interval. io_parallel: flat row-major arrays of n_row rows, all computed side by side.
// Rows that pad the last packet are computed like any other and used by nothing.

#include "hls_stream.h"
#include "nnet_common.h"
#include "nnet_types.h"

namespace nnet {

// ---------------------------------------------------------------------------------------------- requantize

// Element by element, whatever the lanes are: n_feat is the width of a packet (io_stream) or row (io_parallel).
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
#pragma HLS PIPELINE II = 1  // one packet per cycle
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

// --------------------------------------------------------------------------------------------- concatenate

// [a, b] of each row. n_left and n_right are the features of one row.
template <class left_T, class right_T, class res_T, typename CONFIG_T>
void concatenate_rows(left_T left[CONFIG_T::n_row * CONFIG_T::n_left],
                      right_T right[CONFIG_T::n_row * CONFIG_T::n_right],
                      res_T res[CONFIG_T::n_row * (CONFIG_T::n_left + CONFIG_T::n_right)]) {
#pragma HLS PIPELINE II = CONFIG_T::reuse_factor
  const unsigned width = CONFIG_T::n_left + CONFIG_T::n_right;
Rows:
  for (unsigned r = 0; r < CONFIG_T::n_row; r++) {
#pragma HLS UNROLL
    for (unsigned f = 0; f < CONFIG_T::n_left; f++) {
#pragma HLS UNROLL
      res[r * width + f] = left[r * CONFIG_T::n_left + f];
    }
    for (unsigned f = 0; f < CONFIG_T::n_right; f++) {
#pragma HLS UNROLL
      res[r * width + CONFIG_T::n_left + f] = right[r * CONFIG_T::n_right + f];
    }
  }
}

template <class left_T, class right_T, class res_T, typename CONFIG_T>
void concatenate_rows(hls::stream<left_T>& left, hls::stream<right_T>& right, hls::stream<res_T>& res) {
  const unsigned width = CONFIG_T::n_left + CONFIG_T::n_right;
Rows:
  for (unsigned r = 0; r < CONFIG_T::n_row; r++) {
#pragma HLS PIPELINE II = 1  // one packet of n_lane rows per cycle
    left_T a = left.read();
    right_T b = right.read();
    res_T out;
    PRAGMA_DATA_PACK(out)
    for (unsigned lane = 0; lane < CONFIG_T::n_lane; lane++) {
#pragma HLS UNROLL
      for (unsigned f = 0; f < CONFIG_T::n_left; f++) {
#pragma HLS UNROLL
        out[lane * width + f] = a[lane * CONFIG_T::n_left + f];
      }
      for (unsigned f = 0; f < CONFIG_T::n_right; f++) {
#pragma HLS UNROLL
        out[lane * width + CONFIG_T::n_left + f] = b[lane * CONFIG_T::n_right + f];
      }
    }
    res.write(out);
  }
}

// --------------------------------------------------------------------------------------------------- dense

// hls4ml's own dense kernel for each row, with the same weights. Strategy Latency: constants in logic, a pipeline of
// interval reuse_factor. Strategy Resource: the kernel loops reuse_factor cycles over weights in a memory, so that the
// loop over the rows must not be pipelined around it: that would unroll the kernel's loop.
template <class data_T, class res_T, typename CONFIG_T>
void dense_rows(data_T data[CONFIG_T::n_row * CONFIG_T::n_in], res_T res[CONFIG_T::n_row * CONFIG_T::n_out],
                typename CONFIG_T::weight_t weights[CONFIG_T::n_in * CONFIG_T::n_out],
                typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
  if (CONFIG_T::strategy == nnet::latency) {
#pragma HLS PIPELINE II = CONFIG_T::reuse_factor  // all rows, every reuse_factor cycles
  }
Rows:
  for (unsigned r = 0; r < CONFIG_T::n_row; r++) {
    data_T in[CONFIG_T::n_in];
    res_T out[CONFIG_T::n_out];
#pragma HLS ARRAY_PARTITION variable = in complete   // registers: the kernel reads every feature at once
#pragma HLS ARRAY_PARTITION variable = out complete  // and writes every result at once
    for (unsigned f = 0; f < CONFIG_T::n_in; f++) {
#pragma HLS UNROLL
      in[f] = data[r * CONFIG_T::n_in + f];
    }
    CONFIG_T::template kernel<data_T, res_T, CONFIG_T>::dense(in, out, weights, biases);
    for (unsigned f = 0; f < CONFIG_T::n_out; f++) {
#pragma HLS UNROLL
      res[r * CONFIG_T::n_out + f] = out[f];
    }
  }
}

template <class data_T, class res_T, typename CONFIG_T>
void dense_rows(hls::stream<data_T>& data, hls::stream<res_T>& res,
                typename CONFIG_T::weight_t weights[CONFIG_T::n_in * CONFIG_T::n_out],
                typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
  typedef typename data_T::value_type data_t;
  typedef typename res_T::value_type res_t;
Rows:
  for (unsigned r = 0; r < CONFIG_T::n_row; r++) {
    if (CONFIG_T::strategy == nnet::latency) {
#pragma HLS PIPELINE II = CONFIG_T::reuse_factor  // n_lane rows every reuse_factor cycles
    }
    data_T packet = data.read();
    res_T result;
    PRAGMA_DATA_PACK(result)
    for (unsigned lane = 0; lane < CONFIG_T::n_lane; lane++) {
#pragma HLS UNROLL
      data_t in[CONFIG_T::n_in];
      res_t out[CONFIG_T::n_out];
#pragma HLS ARRAY_PARTITION variable = in complete
#pragma HLS ARRAY_PARTITION variable = out complete
      for (unsigned f = 0; f < CONFIG_T::n_in; f++) {
#pragma HLS UNROLL
        in[f] = packet[lane * CONFIG_T::n_in + f];
      }
      CONFIG_T::template kernel<data_t, res_t, CONFIG_T>::dense(in, out, weights, biases);
      for (unsigned f = 0; f < CONFIG_T::n_out; f++) {
#pragma HLS UNROLL
        result[lane * CONFIG_T::n_out + f] = out[f];
      }
    }
    res.write(result);
  }
}

}  // namespace nnet

#endif
