// Between the words of an AXI kernel's memory buffers and the network's streams or arrays. Written by hitfabric.
// A word is the integer behind a number: the same bits without the binary point, sign-extended.

#ifndef HITFABRIC_AXI_WORDS_H_
#define HITFABRIC_AXI_WORDS_H_

#include <cstdint>

#include "ap_fixed.h"
#include "ap_int.h"
#include "hls_stream.h"

namespace hitfabric {

template <class T>
struct raw;
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct raw<ap_fixed<W, I, Q, O, N>> {
  typedef ap_int<W> type;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct raw<ap_ufixed<W, I, Q, O, N>> {
  typedef ap_uint<W> type;
};
template <int W>
struct raw<ap_int<W>> {
  typedef ap_int<W> type;
};
template <int W>
struct raw<ap_uint<W>> {
  typedef ap_uint<W> type;
};

// The number whose lowest bits are those of the word; what does not fit the number is cut off.
template <class T, class word_T>
T from_word(word_T word) {
#pragma HLS INLINE
  typename raw<T>::type bits = word;
  T value;
  value.range(T::width - 1, 0) = bits;
  return value;
}

template <class word_T, class T>
word_T to_word(const T& value) {
#pragma HLS INLINE
  typename raw<T>::type bits;
  bits.range(T::width - 1, 0) = value.range(T::width - 1, 0);
  return word_T(bits.to_int64());
}

// Dataflow design: `count` graphs (or rows) of PACKETS packets, in one burst of the memory port.
// II = words of a packet; less where the tool widens the port, which it does for powers of two.
template <unsigned PACKETS, class packet_T, class word_T>
void read_packets(const word_T* memory, hls::stream<packet_T>& stream, unsigned count) {
packets:
  for (unsigned i = 0; i < count * PACKETS; i++) {
#pragma HLS PIPELINE
    packet_T packet;
  words:
    for (unsigned k = 0; k < packet_T::size; k++) {
#pragma HLS UNROLL
      packet[k] = from_word<typename packet_T::value_type>(memory[i * packet_T::size + k]);
    }
    stream.write(packet);
  }
}

template <unsigned PACKETS, class packet_T, class word_T>
void write_packets(word_T* memory, hls::stream<packet_T>& stream, unsigned count) {
packets:
  for (unsigned i = 0; i < count * PACKETS; i++) {
#pragma HLS PIPELINE
    packet_T packet = stream.read();
  words:
    for (unsigned k = 0; k < packet_T::size; k++) {
#pragma HLS UNROLL
      memory[i * packet_T::size + k] = to_word<word_T>(packet[k]);
    }
  }
}

// Throughput design: `count` rows (or graphs) of SIZE numbers, one per cycle (II = 1), in one burst.
template <unsigned SIZE, class T, class word_T>
void read_numbers(const word_T* memory, hls::stream<T>& stream, unsigned count) {
numbers:
  for (unsigned i = 0; i < count * SIZE; i++) {
#pragma HLS PIPELINE II = 1
    stream.write(from_word<T>(memory[i]));
  }
}

template <unsigned SIZE, class T, class word_T>
void write_numbers(word_T* memory, hls::stream<T>& stream, unsigned count) {
numbers:
  for (unsigned i = 0; i < count * SIZE; i++) {
#pragma HLS PIPELINE II = 1
    memory[i] = to_word<word_T>(stream.read());
  }
}

// One row from the stream to the array that the network takes, and back; one number per cycle.
template <unsigned SIZE, class T>
void gather_row(hls::stream<T>& stream, T row[SIZE]) {
numbers:
  for (unsigned i = 0; i < SIZE; i++) {
#pragma HLS PIPELINE II = 1
    row[i] = stream.read();
  }
}

template <unsigned SIZE, class T>
void scatter_row(T row[SIZE], hls::stream<T>& stream) {
numbers:
  for (unsigned i = 0; i < SIZE; i++) {
#pragma HLS PIPELINE II = 1
    stream.write(row[i]);
  }
}

}  // namespace hitfabric

#endif
