// Vectors of rows. A block holds kRows rows of a tensor as a tile: dwords [dword][row], each dword holding four
// unsigned bytes, two shorts or one int of consecutive features of a row, so that one instruction multiplies the
// features of a dword of kLanes rows with the weights of one output. Arithmetic is modulo 2^32: the generator has
// proven that what is kept fits, hence sums may wrap on the way. Compiled once per instruction set, in an unnamed
// namespace.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(HITFABRIC_AMX)  // has all of AVX-512
#define HITFABRIC_AVX512VNNI
#endif

#if defined(HITFABRIC_AVX512VNNI) || defined(HITFABRIC_AVX2)
#include <immintrin.h>
#endif

#include "call.h"

namespace hitfabric {
namespace {

#if defined(HITFABRIC_AVX512VNNI)
constexpr int kLanes = 16;
constexpr int kTogether = 4;  // vectors of rows whose sums stay in registers: 4 outputs x 4 of 32 registers
#elif defined(HITFABRIC_AVX2)
constexpr int kLanes = 8;
constexpr int kTogether = 2;  // 4 outputs x 2 of 16 registers
#else
constexpr int kLanes = 4;
constexpr int kTogether = 2;
#endif

#define HITFABRIC_INLINE inline __attribute__((always_inline))

using Vec = std::int32_t __attribute__((vector_size(4 * kLanes)));
using Unsigned = std::uint32_t __attribute__((vector_size(4 * kLanes)));

using Few = std::uint32_t __attribute__((vector_size(16)));  // sums of one row, in short vectors

HITFABRIC_INLINE Vec load(const std::int32_t* from) {
  Vec value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

HITFABRIC_INLINE void store(std::int32_t* to, Vec value) { std::memcpy(to, &value, sizeof(value)); }

HITFABRIC_INLINE Vec broadcast(std::int32_t value) { return value - Vec{}; }

HITFABRIC_INLINE Vec add(Vec a, Vec b) { return (Vec)((Unsigned)a + (Unsigned)b); }

HITFABRIC_INLINE Vec multiply(Vec a, Vec b) { return (Vec)((Unsigned)a * (Unsigned)b); }

HITFABRIC_INLINE Vec shift_left(Vec a, int bits) { return (Vec)((Unsigned)a << bits); }

HITFABRIC_INLINE Vec minimum(Vec a, Vec b) { return a < b ? a : b; }

HITFABRIC_INLINE Vec maximum(Vec a, Vec b) { return a > b ? a : b; }

HITFABRIC_INLINE void four_times(std::int32_t x, std::int32_t* to) {
  for (int o = 0; o < 4; ++o) to[o] = x;
}

#if defined(HITFABRIC_AVX512VNNI)

// sum += the four unsigned bytes of each dword of `x` times the four signed bytes of the weight. Of a single row:
// `lanes` takes a weight per lane, `spread` writes the dwords of a feature group for the kWords words of four outputs,
// and `few` takes one feature group and weight.
struct Bytes {
  using Prepared = Vec;
  static constexpr int kWords = 1;
  static HITFABRIC_INLINE Vec lanes(Vec sum, Vec x, Vec weights) {
    return (Vec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)weights);
  }
  static HITFABRIC_INLINE Few few(Few sum, const std::int32_t* x, const std::int32_t* weight) {
    return (Few)_mm_dpbusd_epi32((__m128i)sum, _mm_cvtsi32_si128(*x), _mm_cvtsi32_si128(*weight));
  }
  static HITFABRIC_INLINE void spread(std::int32_t x, std::int32_t* to) { four_times(x, to); }
  static HITFABRIC_INLINE Prepared prepare(Vec x) { return x; }
  static HITFABRIC_INLINE Vec apply(Vec sum, Prepared x, const std::int32_t* weight) {
    return (Vec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, _mm512_set1_epi32(*weight));
  }
};

// sum += the two shorts of each dword of `x` times the two shorts of the weight.
struct Shorts {
  using Prepared = Vec;
  static constexpr int kWords = 1;
  static HITFABRIC_INLINE Vec lanes(Vec sum, Vec x, Vec weights) {
    return (Vec)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)x, (__m512i)weights);
  }
  static HITFABRIC_INLINE Few few(Few sum, const std::int32_t* x, const std::int32_t* weight) {
    return (Few)_mm_dpwssd_epi32((__m128i)sum, _mm_cvtsi32_si128(*x), _mm_cvtsi32_si128(*weight));
  }
  static HITFABRIC_INLINE void spread(std::int32_t x, std::int32_t* to) { four_times(x, to); }
  static HITFABRIC_INLINE Prepared prepare(Vec x) { return x; }
  static HITFABRIC_INLINE Vec apply(Vec sum, Prepared x, const std::int32_t* weight) {
    return (Vec)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)x, _mm512_set1_epi32(*weight));
  }
};

#elif defined(HITFABRIC_AVX2)

// Bytes are widened to shorts: the instruction that multiplies bytes saturates. A weight is two dwords: its bytes 0 and
// 2, and 1 and 3, as shorts.
struct Bytes {
  struct Prepared {
    __m256i even, odd;
  };
  static constexpr int kWords = 2;
  static HITFABRIC_INLINE Vec lanes(Vec sum, Vec x, Vec weights) {
    return add(sum, (Vec)_mm256_madd_epi16((__m256i)x, (__m256i)weights));
  }
  static HITFABRIC_INLINE Few few(Few sum, const std::int32_t* x, const std::int32_t* weight) {
    const __m128i bytes = _mm_cvtsi32_si128(*x);
    const __m128i two = _mm_unpacklo_epi32(_mm_and_si128(bytes, _mm_set1_epi32(0x00ff00ff)), _mm_srli_epi16(bytes, 8));
    return sum + (Few)_mm_madd_epi16(two, _mm_loadl_epi64(reinterpret_cast<const __m128i*>(weight)));
  }
  static HITFABRIC_INLINE void spread(std::int32_t x, std::int32_t* to) {
    const auto bits = static_cast<std::uint32_t>(x);
    for (int o = 0; o < 4; ++o) {
      to[2 * o] = static_cast<std::int32_t>(bits & 0x00ff00ff);
      to[2 * o + 1] = static_cast<std::int32_t>((bits >> 8) & 0x00ff00ff);
    }
  }
  static HITFABRIC_INLINE Prepared prepare(Vec x) {
    const __m256i mask = _mm256_set1_epi32(0x00ff00ff);
    return {_mm256_and_si256((__m256i)x, mask), _mm256_srli_epi16((__m256i)x, 8)};
  }
  static HITFABRIC_INLINE Vec apply(Vec sum, const Prepared& x, const std::int32_t* weight) {
    const __m256i even = _mm256_madd_epi16(x.even, _mm256_set1_epi32(weight[0]));
    const __m256i odd = _mm256_madd_epi16(x.odd, _mm256_set1_epi32(weight[1]));
    return add(sum, add((Vec)even, (Vec)odd));
  }
};

struct Shorts {
  using Prepared = Vec;
  static constexpr int kWords = 1;
  static HITFABRIC_INLINE Vec lanes(Vec sum, Vec x, Vec weights) {
    return add(sum, (Vec)_mm256_madd_epi16((__m256i)x, (__m256i)weights));
  }
  static HITFABRIC_INLINE Few few(Few sum, const std::int32_t* x, const std::int32_t* weight) {
    return sum + (Few)_mm_madd_epi16(_mm_cvtsi32_si128(*x), _mm_cvtsi32_si128(*weight));
  }
  static HITFABRIC_INLINE void spread(std::int32_t x, std::int32_t* to) { four_times(x, to); }
  static HITFABRIC_INLINE Prepared prepare(Vec x) { return x; }
  static HITFABRIC_INLINE Vec apply(Vec sum, Prepared x, const std::int32_t* weight) {
    return add(sum, (Vec)_mm256_madd_epi16((__m256i)x, _mm256_set1_epi32(*weight)));
  }
};

#else

struct Bytes {
  struct Prepared {
    Vec byte[4];
  };
  static constexpr int kWords = 1;
  static HITFABRIC_INLINE Vec lanes(Vec sum, Vec x, Vec weights) {
    for (int bits = 0; bits < 32; bits += 8) {
      sum = add(sum, multiply((Vec)(((Unsigned)x >> bits) & 255), shift_left(weights, 24 - bits) >> 24));
    }
    return sum;
  }
  static HITFABRIC_INLINE Few few(Few sum, const std::int32_t* x, const std::int32_t* weight) {
    return (Few)lanes((Vec)sum, Vec{*x}, Vec{*weight});
  }
  static HITFABRIC_INLINE void spread(std::int32_t x, std::int32_t* to) { four_times(x, to); }
  static HITFABRIC_INLINE Prepared prepare(Vec x) {
    const Unsigned u = (Unsigned)x;
    return {{(Vec)(u & 255), (Vec)((u >> 8) & 255), (Vec)((u >> 16) & 255), (Vec)(u >> 24)}};
  }
  static HITFABRIC_INLINE Vec apply(Vec sum, const Prepared& x, const std::int32_t* weight) {
    for (int k = 0; k < 4; ++k) {
      const auto w = static_cast<std::int8_t>(static_cast<std::uint32_t>(*weight) >> (8 * k));
      sum = add(sum, multiply(x.byte[k], broadcast(w)));
    }
    return sum;
  }
};

struct Shorts {
  struct Prepared {
    Vec low, high;
  };
  static constexpr int kWords = 1;
  static HITFABRIC_INLINE Vec lanes(Vec sum, Vec x, Vec weights) {
    const Vec low = multiply(shift_left(x, 16) >> 16, shift_left(weights, 16) >> 16);
    return add(sum, add(low, multiply(x >> 16, weights >> 16)));
  }
  static HITFABRIC_INLINE Few few(Few sum, const std::int32_t* x, const std::int32_t* weight) {
    return (Few)lanes((Vec)sum, Vec{*x}, Vec{*weight});
  }
  static HITFABRIC_INLINE void spread(std::int32_t x, std::int32_t* to) { four_times(x, to); }
  static HITFABRIC_INLINE Prepared prepare(Vec x) { return {shift_left(x, 16) >> 16, x >> 16}; }
  static HITFABRIC_INLINE Vec apply(Vec sum, const Prepared& x, const std::int32_t* weight) {
    const auto low = static_cast<std::int16_t>(static_cast<std::uint32_t>(*weight));
    const auto high = static_cast<std::int16_t>(static_cast<std::uint32_t>(*weight) >> 16);
    return add(sum, add(multiply(x.low, broadcast(low)), multiply(x.high, broadcast(high))));
  }
};

#endif

// sum += the int of each dword of `x` times the weight.
struct Ints {
  using Prepared = Vec;
  static constexpr int kWords = 1;
  static HITFABRIC_INLINE Vec lanes(Vec sum, Vec x, Vec weights) { return add(sum, multiply(x, weights)); }
  static HITFABRIC_INLINE Few few(Few sum, const std::int32_t* x, const std::int32_t* weight) {
    return sum + Few{static_cast<std::uint32_t>(*x) * static_cast<std::uint32_t>(*weight)};
  }
  static HITFABRIC_INLINE void spread(std::int32_t x, std::int32_t* to) { four_times(x, to); }
  static HITFABRIC_INLINE Prepared prepare(Vec x) { return x; }
  static HITFABRIC_INLINE Vec apply(Vec sum, Prepared x, const std::int32_t* weight) {
    return add(sum, multiply(x, broadcast(*weight)));
  }
};

// Four vectors of ints to dwords of four bytes, saturated to unsigned (kSigned false) or signed bytes.
template <bool kSigned>
HITFABRIC_INLINE Vec pack_bytes(Vec a, Vec b, Vec c, Vec d) {
#if defined(HITFABRIC_AVX512VNNI)
  const __m512i ab = _mm512_packs_epi32((__m512i)a, (__m512i)b), cd = _mm512_packs_epi32((__m512i)c, (__m512i)d);
  const __m512i packed = kSigned ? _mm512_packs_epi16(ab, cd) : _mm512_packus_epi16(ab, cd);
  const __m512i by_row = _mm512_set4_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400);
  return (Vec)_mm512_shuffle_epi8(packed, by_row);
#elif defined(HITFABRIC_AVX2)
  const __m256i ab = _mm256_packs_epi32((__m256i)a, (__m256i)b), cd = _mm256_packs_epi32((__m256i)c, (__m256i)d);
  const __m256i packed = kSigned ? _mm256_packs_epi16(ab, cd) : _mm256_packus_epi16(ab, cd);
  const __m256i by_row =
      _mm256_setr_epi32(0x0c080400, 0x0d090501, 0x0e0a0602, 0x0f0b0703, 0x0c080400, 0x0d090501, 0x0e0a0602, 0x0f0b0703);
  return (Vec)_mm256_shuffle_epi8(packed, by_row);
#else
  const Vec low = broadcast(kSigned ? -128 : 0), high = broadcast(kSigned ? 127 : 255);
  const Vec bytes[4] = {a, b, c, d};
  Unsigned packed{};
  for (int k = 0; k < 4; ++k) {
    packed |= ((Unsigned)minimum(maximum(bytes[k], low), high) & 255) << (8 * k);
  }
  return (Vec)packed;
#endif
}

// Bytewise min(max(x, low), high); of unsigned bytes only the upper limit.
template <bool kSigned>
HITFABRIC_INLINE Vec clip_bytes(Vec x, int low, int high) {
  if (kSigned ? low == -128 && high == 127 : high == 255) return x;
#if defined(HITFABRIC_AVX512VNNI)
  const __m512i upper = _mm512_set1_epi8(static_cast<char>(high)), lower = _mm512_set1_epi8(static_cast<char>(low));
  if (!kSigned) return (Vec)_mm512_min_epu8((__m512i)x, upper);
  return (Vec)_mm512_max_epi8(_mm512_min_epi8((__m512i)x, upper), lower);
#elif defined(HITFABRIC_AVX2)
  const __m256i upper = _mm256_set1_epi8(static_cast<char>(high)), lower = _mm256_set1_epi8(static_cast<char>(low));
  if (!kSigned) return (Vec)_mm256_min_epu8((__m256i)x, upper);
  return (Vec)_mm256_max_epi8(_mm256_min_epi8((__m256i)x, upper), lower);
#else
  using SignedBytes = std::int8_t __attribute__((vector_size(4 * kLanes)));
  using UnsignedBytes = std::uint8_t __attribute__((vector_size(4 * kLanes)));
  if (!kSigned) {
    const UnsignedBytes value = (UnsignedBytes)x, upper = static_cast<std::uint8_t>(high) - UnsignedBytes{};
    return (Vec)(value < upper ? value : upper);
  }
  const SignedBytes upper = static_cast<std::int8_t>(high) - SignedBytes{};
  const SignedBytes lower = static_cast<std::int8_t>(low) - SignedBytes{};
  SignedBytes value = (SignedBytes)x;
  value = value < upper ? value : upper;
  return (Vec)(value > lower ? value : lower);
#endif
}

// Dwords of two shorts.
HITFABRIC_INLINE Vec pack_shorts(Vec a, Vec b) { return (Vec)(((Unsigned)a & 0xffff) | ((Unsigned)b << 16)); }

}  // namespace
}  // namespace hitfabric
