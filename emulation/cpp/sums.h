// Sums of four outputs: of several vectors of rows, held in registers, or of a single row.
#pragma once

#include "lanes.h"

namespace hitfabric {
namespace {

constexpr int kOutputs = 4;

// Where the weights, and the lists of groups that are not all zero, are read.
struct Stream {
  const std::int32_t* weights;
  const std::uint16_t* groups;
};

template <int U>
struct Sums {
  Vec of[kOutputs][U];

  HITFABRIC_INLINE void start(const std::int32_t* bias) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) of[o][u] = broadcast(bias[o]);
    }
  }

  HITFABRIC_INLINE void take(const std::int32_t* sums) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) of[o][u] = load(sums + o * kRows + u * kLanes);
    }
  }

  HITFABRIC_INLINE void clear() {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) of[o][u] = Vec{};
    }
  }

  HITFABRIC_INLINE void add_bias(const std::int32_t* bias) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) of[o][u] = add(of[o][u], broadcast(bias[o]));
    }
  }

  HITFABRIC_INLINE void shift(int bits) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) of[o][u] = shift_left(of[o][u], bits);
    }
  }

  // One group of features (a dword of each row), for all four outputs.
  template <class Dot>
  HITFABRIC_INLINE void group(const std::int32_t* x, const std::int32_t* weights) {
    typename Dot::Prepared in[U];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) in[u] = Dot::prepare(load(x + u * kLanes));
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) of[o][u] = Dot::apply(of[o][u], in[u], weights + o * Dot::kWords);
    }
  }
};

// The features of one row, each group as often as its weights take lanes. Zeros follow, so that weights that do not
// belong to the row count nothing.
template <class Dot, int kGroups>
struct Row {
  static constexpr int kPerGroup = kOutputs * Dot::kWords;
  static constexpr int kVectors = (kGroups * kPerGroup + kLanes - 1) / kLanes;
  alignas(64) std::int32_t values[kVectors * kLanes];

  HITFABRIC_INLINE Row(const std::int32_t* x, int rows) {
    if (rows != 1) return;
    for (int k = kGroups * kPerGroup; k < kVectors * kLanes; ++k) values[k] = 0;
    for (int g = 0; g < kGroups; ++g) Dot::spread(x[g * kRows], values + g * kPerGroup);
  }
};

// Sums of a single row: here outputs, rather than rows, fill the lanes.
template <>
struct Sums<0> {
  std::int32_t of[kOutputs];

  HITFABRIC_INLINE void start(const std::int32_t* bias) {
    for (int o = 0; o < kOutputs; ++o) of[o] = bias[o];
  }

  HITFABRIC_INLINE void clear() {
    for (int o = 0; o < kOutputs; ++o) of[o] = 0;
  }

  HITFABRIC_INLINE void take(const std::int32_t* sums) {
    for (int o = 0; o < kOutputs; ++o) of[o] = sums[o * kRows];
  }

  HITFABRIC_INLINE void plus(int output, std::int32_t value) {
    of[output] = static_cast<std::int32_t>(static_cast<std::uint32_t>(of[output]) + static_cast<std::uint32_t>(value));
  }

  HITFABRIC_INLINE void add_bias(const std::int32_t* bias) {
    for (int o = 0; o < kOutputs; ++o) plus(o, bias[o]);
  }

  HITFABRIC_INLINE void shift(int bits) {
    for (int o = 0; o < kOutputs; ++o) of[o] = static_cast<std::int32_t>(static_cast<std::uint32_t>(of[o]) << bits);
  }

  HITFABRIC_INLINE void plus_first_lanes(const Sums<1>& sums) {
    for (int o = 0; o < kOutputs; ++o) plus(o, sums.of[o][0][0]);
  }

  // What becomes of sums of several rows, with this row in every lane.
  HITFABRIC_INLINE Sums<1> everywhere() const {
    Sums<1> sums;
    for (int o = 0; o < kOutputs; ++o) sums.of[o][0] = broadcast(of[o]);
    return sums;
  }
};

template <int U>
HITFABRIC_INLINE const Sums<U>& in_lanes(const Sums<U>& sums) {
  return sums;
}

HITFABRIC_INLINE Sums<1> in_lanes(const Sums<0>& sums) { return sums.everywhere(); }

}  // namespace
}  // namespace hitfabric
