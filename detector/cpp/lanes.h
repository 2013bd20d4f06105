// Float32 distances, one point of a leaf per vector lane. Comparisons only; the exact sums are in point_tree.h.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#ifdef __AVX__
#include <immintrin.h>
#endif

namespace hitfabric {

constexpr std::int64_t kLanes = 32;

// GCC's vectors compile to what the processor has: one AVX-512 register, two of AVX, four of SSE or NEON.
using Half = float __attribute__((vector_size(64)));
constexpr int kHalf = 16;

inline void load(const float* from, Half* to) { std::memcpy(to, from, sizeof(Half)); }

// Bit of each lane with value <= limit.
inline std::uint32_t at_most(const Half& values, float limit) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)values, _mm512_set1_ps(limit), _CMP_LE_OQ);
#elif defined(__AVX__)
  __m256 part[2];
  std::memcpy(part, &values, sizeof part);
  const __m256 bound = _mm256_set1_ps(limit);
  const auto low = static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(part[0], bound, _CMP_LE_OQ)));
  const auto high = static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(part[1], bound, _CMP_LE_OQ)));
  return low | high << 8;
#else
  std::uint32_t bits = 0;
  for (int lane = 0; lane < kHalf; ++lane) bits |= static_cast<std::uint32_t>(values[lane] <= limit) << lane;
  return bits;
#endif
}

// Bits of the first `count` lanes.
inline std::uint32_t first_lanes(std::int64_t count) { return count >= kLanes ? ~0U : (1U << count) - 1U; }

// Lanes [dimensions, 32] with a float32 squared distance from a point of at most `possible`, and of at most `sure`.
inline std::pair<std::uint32_t, std::uint32_t> lanes_near_point(const float* lanes, const float* point,
                                                                std::int64_t dimensions, float possible, float sure) {
  Half low{}, high{}, step;
  for (std::int64_t d = 0; d < dimensions; ++d, lanes += kLanes) {
    load(lanes, &step);
    step -= point[d];
    low += step * step;
    load(lanes + kHalf, &step);
    step -= point[d];
    high += step * step;
  }
  return {at_most(low, possible) | at_most(high, possible) << kHalf, at_most(low, sure) | at_most(high, sure) << kHalf};
}

// Lanes [dimensions, 32] whose points may be within the limit of a box (lowest and highest of each dimension in turn).
inline std::uint32_t lanes_near_box(const float* lanes, const float* box, std::int64_t dimensions, float limit) {
  Half sum[2] = {};
  for (std::int64_t d = 0; d < dimensions; ++d) {
    for (int half = 0; half < 2; ++half, lanes += kHalf) {
      Half point, below, above;
      load(lanes, &point);
      below = box[2 * d] - point;
      above = point - box[2 * d + 1];
      above = above > below ? above : below;
      above = above > 0.0F ? above : above - above;
      sum[half] += above * above;
    }
  }
  return at_most(sum[0], limit) | at_most(sum[1], limit) << kHalf;
}

// Whether two boxes may be within the limit of each other.
inline bool boxes_near(const float* first, const float* second, std::int64_t dimensions, float limit) {
  float sum = 0;
  for (std::int64_t d = 0; d < 2 * dimensions; d += 2) {
    const float gap = std::max({first[d] - second[d + 1], second[d] - first[d + 1], 0.0F});
    sum += gap * gap;
  }
  return sum <= limit;
}

}  // namespace hitfabric
