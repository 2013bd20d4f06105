// Sums of bytes by AMX, whose registers hold matrices: 16 outputs of 16 rows at a time, over 64 features. A tensor's
// tile already has the layout of the right-hand matrix. HITFABRIC_EMULATED_TILES computes the same in plain C++, for
// tests on processors without AMX.
#pragma once

#include "linear.h"

namespace hitfabric {
namespace {

constexpr int kMatrix = 16;        // outputs, and lanes, of a matrix
constexpr int kMatrixGroups = 16;  // groups of four features
constexpr int kMatrixBytes = kMatrix * 4 * kMatrixGroups;

// A tile of bytes and how many matrices of features it has; what lies behind its last group meets weights of zero.
struct MatrixSource {
  const std::int32_t* x;
  int matrices;
};

#if defined(HITFABRIC_EMULATED_TILES)

struct Matrices {
  std::int32_t sums[4][kMatrix][kMatrix];

  void clear() { std::memset(sums, 0, sizeof(sums)); }

  void multiply(const std::int8_t* weights, const std::int32_t* x) {
    for (int part = 0; part < 4; ++part) {
      for (int o = 0; o < kMatrix; ++o) {
        for (int lane = 0; lane < kMatrix; ++lane) {
          std::int32_t sum = sums[part][o][lane];
          for (int g = 0; g < kMatrixGroups; ++g) {
            const auto dword = static_cast<std::uint32_t>(x[g * kRows + part * kMatrix + lane]);
            for (int k = 0; k < 4; ++k) {
              const auto byte = static_cast<std::int32_t>((dword >> (8 * k)) & 255);
              sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) +
                                              static_cast<std::uint32_t>(byte * weights[o * 64 + 4 * g + k]));
            }
          }
          sums[part][o][lane] = sum;
        }
      }
    }
  }

  void store(std::int32_t* to) const {
    for (int part = 0; part < 4; ++part) {
      for (int o = 0; o < kMatrix; ++o) std::memcpy(to + o * kRows + part * kMatrix, sums[part][o], sizeof(sums[0][0]));
    }
  }

  void configure() {}
  void release() {}
};

#else

struct Matrices {
  HITFABRIC_INLINE void configure() {
    struct alignas(64) Configuration {
      std::uint8_t palette, start_row, reserved[14];
      std::uint16_t row_bytes[16];
      std::uint8_t rows[16];
    };
    Configuration configuration{};
    configuration.palette = 1;
    for (int k = 0; k < 6; ++k) {
      configuration.row_bytes[k] = 64;
      configuration.rows[k] = kMatrix;
    }
    _tile_loadconfig(&configuration);
  }

  HITFABRIC_INLINE void release() { _tile_release(); }

  HITFABRIC_INLINE void clear() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }

  HITFABRIC_INLINE void multiply(const std::int8_t* weights, const std::int32_t* x) {
    constexpr int kStride = kRows * 4;
    _tile_loadd(4, weights, 64);
    _tile_loadd(5, x, kStride);
    _tile_dpbsud(0, 4, 5);
    _tile_loadd(5, x + kMatrix, kStride);
    _tile_dpbsud(1, 4, 5);
    _tile_loadd(5, x + 2 * kMatrix, kStride);
    _tile_dpbsud(2, 4, 5);
    _tile_loadd(5, x + 3 * kMatrix, kStride);
    _tile_dpbsud(3, 4, 5);
  }

  HITFABRIC_INLINE void store(std::int32_t* to) {
    constexpr int kStride = kRows * 4;
    _tile_stored(0, to, kStride);
    _tile_stored(1, to + kMatrix, kStride);
    _tile_stored(2, to + 2 * kMatrix, kStride);
    _tile_stored(3, to + 3 * kMatrix, kStride);
  }
};

#endif

// Calls finish(number of the four outputs, their sums [4][kRows]) for all outputs, four at a time.
template <class Finish>
HITFABRIC_INLINE void matrix_sums(const MatrixSource* sources, int count, const std::int8_t* weights, int fours,
                                  const Finish& finish) {
  alignas(64) std::int32_t sums[kMatrix * kRows];
  Matrices matrices;
  matrices.configure();
  for (int first = 0; first < fours; first += kMatrix / kOutputs) {
    matrices.clear();
    for (int k = 0; k < count; ++k) {
      for (int m = 0; m < sources[k].matrices; ++m, weights += kMatrixBytes) {
        matrices.multiply(weights, sources[k].x + m * kMatrixGroups * kRows);
      }
    }
    matrices.store(sums);
    for (int four = first; four < fours && four < first + kMatrix / kOutputs; ++four) {
      finish(four, sums + (four - first) * kOutputs * kRows);
    }
  }
  matrices.release();
}

}  // namespace
}  // namespace hitfabric
