// Linear maps in 64 bits, for the rare tensors that do not fit 32: plain loops over rows.
#pragma once

#include "linear.h"
#include "rows.h"

namespace hitfabric {
namespace {

struct WideTerm {
  std::int32_t output, feature;
  std::int64_t weight;
};

HITFABRIC_INLINE void wide_start(const std::int64_t* bias, int width, std::int64_t* sums) {
  for (int o = 0; o < width; ++o) {
    for (int row = 0; row < kRows; ++row) sums[o * kRows + row] = bias[o];
  }
}

template <class T>
HITFABRIC_INLINE void wide_terms(const std::int32_t* tile, int offset, const WideTerm* terms, int count,
                                 std::int64_t* sums) {
  for (int k = 0; k < count; ++k) {
    const auto weight = static_cast<std::uint64_t>(terms[k].weight);
    for (int row = 0; row < kRows; ++row) {
      const auto value = static_cast<std::uint64_t>(element<T>(tile, terms[k].feature, row, offset));
      std::int64_t& sum = sums[terms[k].output * kRows + row];
      sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(sum) + weight * value);
    }
  }
}

// As FixedPoint.requantize, for every shift.
template <Rounding R>
HITFABRIC_INLINE std::int64_t wide_rescale(std::int64_t x, int bits, std::int64_t low, std::int64_t high) {
  if (bits <= 0) {
    const int shift = -bits < 62 ? -bits : 62;
    const std::int64_t limit = ((high > -low ? high : -low) >> shift) + 1;
    x = x < -limit ? -limit : x > limit ? limit : x;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) << shift);
  }
  const std::int64_t floor = x >> (bits < 63 ? bits : 63);
  if (R == Rounding::kFloor) return floor;
  if (bits > 63) return 0;  // at most half a step from 0, and the tie is even
  const auto half = std::uint64_t{1} << (bits - 1);
  const auto rest = static_cast<std::uint64_t>(x) & (2 * half - 1);
  return floor + (rest > half || (rest == half && (floor & 1)));
}

// Rounds, saturates and writes a tile of T (bytes with `offset`).
template <Rounding R, class T>
HITFABRIC_INLINE void wide_finish(const std::int64_t* sums, int width, int bits, std::int64_t low, std::int64_t high,
                                  int offset, std::int32_t* tile) {
  constexpr int kPer = sizeof(T) >= 4 ? 1 : 4 / static_cast<int>(sizeof(T));
  if constexpr (kPer > 1) std::memset(tile, 0, (width + kPer - 1) / kPer * kRows * sizeof(std::int32_t));
  for (int o = 0; o < width; ++o) {
    for (int row = 0; row < kRows; ++row) {
      std::int64_t value = wide_rescale<R>(sums[o * kRows + row], bits, low, high);
      value = value < low ? low : value > high ? high : value;
      if constexpr (sizeof(T) == 8) {
        reinterpret_cast<std::int64_t*>(tile)[o * kRows + row] = value;
      } else if constexpr (kPer == 1) {
        tile[o * kRows + row] = static_cast<std::int32_t>(value);
      } else {
        using Bits = std::make_unsigned_t<T>;
        const auto bits_of_value = static_cast<std::uint32_t>(static_cast<Bits>(value + offset));
        const auto dword = static_cast<std::uint32_t>(tile[o / kPer * kRows + row]);
        const int place = o % kPer * 8 * static_cast<int>(sizeof(T));
        tile[o / kPer * kRows + row] = static_cast<std::int32_t>(dword | (bits_of_value << place));
      }
    }
  }
}

}  // namespace
}  // namespace hitfabric
