// Sums and maxima of edge rows at the nodes of a block, edge after edge of each node.
#pragma once

#include "rows.h"

namespace hitfabric {
namespace {

// T: type of the stored elements; sums of up to `kChunk` bytes or shorts fit an int, and longer elements are summed in
// 64 bits. Results beyond an int are saturated to it where Sum is int (what follows saturates earlier), and exact where
// Sum is std::int64_t.
template <bool kMaximum, class T, class Sum, int kWidth, int kChunk>
HITFABRIC_INLINE void aggregate(const std::int32_t* table, const EdgesOfNodes& edges, std::int64_t start, int count,
                                int offset, Sum* tile) {
  constexpr int kStride = (kWidth * static_cast<int>(sizeof(T)) + 3) / 4 * 4;
  constexpr int kPadded = kStride / static_cast<int>(sizeof(T));
  using Partial = std::conditional_t<sizeof(T) == 8 || (sizeof(T) == 4 && !kMaximum), std::int64_t, std::int32_t>;
  const auto* bytes = reinterpret_cast<const unsigned char*>(table);
  for (int row = 0; row < count; ++row) {
    std::int64_t edge = edges.first[start + row];
    const std::int64_t end = edges.first[start + row + 1];
    std::int64_t total[kWidth] = {};
    while (edge < end) {
      const std::int64_t stop = kMaximum || end - edge <= kChunk ? end : edge + kChunk;
      Partial part[kPadded] = {};
      const auto degree = static_cast<std::int32_t>(stop - edge);
      for (; edge < stop; ++edge) {
        T values[kPadded];
        std::memcpy(values, bytes + static_cast<std::int64_t>(edges.order[edge]) * kStride, sizeof(values));
        for (int f = 0; f < kPadded; ++f) {
          if (kMaximum) {
            const Partial value = static_cast<Partial>(values[f]) - offset;
            part[f] = value > part[f] ? value : part[f];
          } else {
            part[f] += values[f];
          }
        }
      }
      for (int f = 0; f < kWidth; ++f) {
        total[f] += part[f] - (kMaximum ? 0 : static_cast<std::int64_t>(offset) * degree);
      }
    }
    for (int f = 0; f < kWidth; ++f) {
      if constexpr (sizeof(Sum) == 4) {
        const std::int64_t clipped = total[f] > INT32_MAX ? INT32_MAX : total[f] < INT32_MIN ? INT32_MIN : total[f];
        tile[f * kRows + row] = static_cast<Sum>(clipped);
      } else {
        tile[f * kRows + row] = total[f];
      }
    }
  }
}

}  // namespace
}  // namespace hitfabric
