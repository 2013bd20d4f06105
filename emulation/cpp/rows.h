// Between rows in memory and tiles: quantization of features, gathering, results.
#pragma once

#include "call.h"
#include "lanes.h"

namespace hitfabric {
namespace {

template <class T>
HITFABRIC_INLINE T read(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

#if defined(HITFABRIC_AVX512VNNI)
// Transposes 16 x 16 dwords held in registers.
HITFABRIC_INLINE void transpose(__m512i (&x)[16]) {
  __m512i y[16];
#pragma GCC unroll 16
  for (int k = 0; k < 8; ++k) {
    y[2 * k] = _mm512_unpacklo_epi32(x[2 * k], x[2 * k + 1]);
    y[2 * k + 1] = _mm512_unpackhi_epi32(x[2 * k], x[2 * k + 1]);
  }
#pragma GCC unroll 16
  for (int k = 0; k < 4; ++k) {
    x[4 * k] = _mm512_unpacklo_epi64(y[4 * k], y[4 * k + 2]);
    x[4 * k + 1] = _mm512_unpackhi_epi64(y[4 * k], y[4 * k + 2]);
    x[4 * k + 2] = _mm512_unpacklo_epi64(y[4 * k + 1], y[4 * k + 3]);
    x[4 * k + 3] = _mm512_unpackhi_epi64(y[4 * k + 1], y[4 * k + 3]);
  }
#pragma GCC unroll 16
  for (int k = 0; k < 4; ++k) {
    y[k] = _mm512_shuffle_i32x4(x[k], x[4 + k], 0x88);
    y[4 + k] = _mm512_shuffle_i32x4(x[k], x[4 + k], 0xdd);
    y[8 + k] = _mm512_shuffle_i32x4(x[8 + k], x[12 + k], 0x88);
    y[12 + k] = _mm512_shuffle_i32x4(x[8 + k], x[12 + k], 0xdd);
  }
#pragma GCC unroll 16
  for (int k = 0; k < 4; ++k) {
    x[k] = _mm512_shuffle_i32x4(y[k], y[8 + k], 0x88);
    x[4 + k] = _mm512_shuffle_i32x4(y[4 + k], y[12 + k], 0x88);
    x[8 + k] = _mm512_shuffle_i32x4(y[k], y[8 + k], 0xdd);
    x[12 + k] = _mm512_shuffle_i32x4(y[4 + k], y[12 + k], 0xdd);
  }
}

// Up to 16 dwords of 16 rows; `row(k)` is where row k begins.
template <class Row>
HITFABRIC_INLINE void sixteen_to_tile(const Row& row, int dwords, std::int32_t* tile) {
  const auto mask = static_cast<__mmask16>((1u << dwords) - 1);
  __m512i x[16];
#pragma GCC unroll 16
  for (int k = 0; k < 16; ++k) x[k] = _mm512_maskz_loadu_epi32(mask, row(k));
  transpose(x);
#pragma GCC unroll 16
  for (int k = 0; k < 16; ++k) {
    if (k < dwords) _mm512_store_si512(tile + k * kRows, x[k]);
  }
}

HITFABRIC_INLINE void tile_to_sixteen(const std::int32_t* tile, int dwords, std::int32_t* to, std::int64_t stride) {
  const auto mask = static_cast<__mmask16>((1u << dwords) - 1);
  __m512i x[16];
#pragma GCC unroll 16
  for (int k = 0; k < 16; ++k) x[k] = k < dwords ? _mm512_load_si512(tile + k * kRows) : _mm512_setzero_si512();
  transpose(x);
#pragma GCC unroll 16
  for (int k = 0; k < 16; ++k) _mm512_mask_storeu_epi32(to + k * stride, mask, x[k]);
}
#endif

// Rows to a tile of elements [element][row]; `row(k)` is where row k begins, k < count.
template <class T, class Row>
HITFABRIC_INLINE void to_tile(const Row& row, int elements, int count, T* tile) {
  int done = 0;
#if defined(HITFABRIC_AVX512VNNI)
  if constexpr (sizeof(T) == 4) {
    for (; done + 16 <= count; done += 16) {
      for (int e = 0; e < elements; e += 16) {
        const auto part = [&](int k) __attribute__((always_inline)) { return row(done + k) + 4 * e; };
        sixteen_to_tile(part, elements - e < 16 ? elements - e : 16, tile + e * kRows + done);
      }
    }
  }
#endif
  for (; done < count; ++done) {
    const unsigned char* from = row(done);
    for (int e = 0; e < elements; ++e) tile[e * kRows + done] = read<T>(from + e * sizeof(T));
  }
}

// A tile to rows `stride` elements apart.
template <class T>
HITFABRIC_INLINE void to_rows(const T* tile, int elements, int count, T* rows, std::int64_t stride) {
  int done = 0;
#if defined(HITFABRIC_AVX512VNNI)
  if constexpr (sizeof(T) == 4) {
    for (; done + 16 <= count; done += 16) {
      for (int e = 0; e < elements; e += 16) {
        tile_to_sixteen(tile + e * kRows + done, elements - e < 16 ? elements - e : 16, rows + done * stride + e,
                        stride);
      }
    }
  }
#endif
  for (; done < count; ++done) {
    for (int e = 0; e < elements; ++e) rows[done * stride + e] = tile[e * kRows + done];
  }
}

// The end of each edge: rows of `table` chosen by `index`.
template <class T>
HITFABRIC_INLINE void gather(const T* table, int elements, const std::int32_t* index, int count, T* tile) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(table);
  const auto row = [&](int k) __attribute__((always_inline)) {
    return bytes + static_cast<std::int64_t>(index[k]) * (elements * static_cast<int>(sizeof(T)));
  };
  to_tile<T>(row, elements, count, tile);
}

// Built-in: a library's function compiled for one instruction set could be linked into the code of another.
template <bool kHalfEven>
HITFABRIC_INLINE float whole(float x) {
  return kHalfEven ? __builtin_nearbyintf(x) : __builtin_floorf(x);
}

template <bool kHalfEven>
HITFABRIC_INLINE double whole(double x) {
  return kHalfEven ? __builtin_nearbyint(x) : __builtin_floor(x);
}

// Features quantized, `offset` added, and brought into a tile of `kWidth` features of type T. `Real` is float where
// scaling is exact in it, else double. A value that is not finite is reported.
template <bool kHalfEven, class T, class Real, int kWidth>
HITFABRIC_INLINE void quantize(Call& call, int input, std::int64_t start, int count, double scale, std::int64_t low,
                               std::int64_t high, int offset, std::int32_t* tile) {
  const float* rows = static_cast<const float*>(call.inputs[input]) + start * kWidth;
  constexpr int kSlack = 64;  // the last row's last dword may reach beyond
  alignas(64) T integers[kRows * kWidth + kSlack];
  const Real factor = static_cast<Real>(scale), least = static_cast<Real>(low), most = static_cast<Real>(high);
  std::uint32_t unusual = 0;
  for (int k = 0; k < count * kWidth; ++k) {
    unusual |= (read<std::uint32_t>(rows + k) & 0x7f800000u) == 0x7f800000u;
    Real value = whole<kHalfEven>(static_cast<Real>(rows[k]) * factor);
    value = value > least ? value : least;  // also what is not a number
    value = value < most ? value : most;
    if constexpr (sizeof(T) == 8) {  // `most` may have been rounded up
      const auto integer = static_cast<std::int64_t>(value);
      integers[k] = integer < low ? low : integer > high ? high : integer;
    } else {
      integers[k] = static_cast<T>(static_cast<std::int32_t>(value) + offset);
    }
  }
  if (unusual) call.report(HITFABRIC_NOT_FINITE, input, start);
  const auto* bytes = reinterpret_cast<const unsigned char*>(integers);
  const auto row = [&](int k)
                       __attribute__((always_inline)) { return bytes + k * kWidth * static_cast<int>(sizeof(T)); };
  if constexpr (sizeof(T) == 8) {
    to_tile<std::int64_t>(row, kWidth, count, reinterpret_cast<std::int64_t*>(tile));
  } else {
    to_tile<std::int32_t>(row, (kWidth * static_cast<int>(sizeof(T)) + 3) / 4, count, tile);
  }
}

// One feature of a tile as integers: byte minus offset, short, int or 64 bits.
template <class T>
HITFABRIC_INLINE std::int64_t element(const std::int32_t* tile, int feature, int row, int offset) {
  if constexpr (sizeof(T) == 8) return reinterpret_cast<const std::int64_t*>(tile)[feature * kRows + row];
  constexpr int kPer = sizeof(T) >= 4 ? 1 : 4 / static_cast<int>(sizeof(T));
  const auto dword = static_cast<std::uint32_t>(tile[feature / kPer * kRows + row]);
  return static_cast<T>(dword >> (feature % kPer * 8 * static_cast<int>(sizeof(T)) % 32)) - std::int64_t{offset};
}

// Values of a tile as float32 rows, correctly rounded beyond 24 bits.
template <class T, int kWidth>
HITFABRIC_INLINE void store_floats(const std::int32_t* tile, int offset, double scale, int count, float* rows,
                                   std::int64_t stride) {
  if constexpr (sizeof(T) == 4) {
    alignas(64) float values[kWidth * kRows];
    const float factor = static_cast<float>(scale);
    for (int k = 0; k < kWidth * kRows; ++k) values[k] = static_cast<float>(tile[k]) * factor;
    if (kWidth == 1 && stride == 1) {
      std::memcpy(rows, values, count * sizeof(float));
    } else {
      to_rows<std::int32_t>(reinterpret_cast<const std::int32_t*>(values), kWidth, count,
                            reinterpret_cast<std::int32_t*>(rows), stride);
    }
  } else {
    for (int row = 0; row < count; ++row) {
      for (int f = 0; f < kWidth; ++f) {
        const auto value = static_cast<double>(element<T>(tile, f, row, offset));
        rows[row * stride + f] = static_cast<float>(value * scale);
      }
    }
  }
}

// Integers of a tile, times 2^shift, as int64 rows.
template <class T>
__attribute__((noinline)) void store_integers(const std::int32_t* tile, int width, int offset, int shift, int count,
                                              std::int64_t* rows, std::int64_t stride) {
  for (int row = 0; row < count; ++row) {
    for (int f = 0; f < width; ++f) {
      rows[row * stride + f] = element<T>(tile, f, row, offset) * (std::int64_t{1} << shift);
    }
  }
}

}  // namespace
}  // namespace hitfabric
