// Linear maps of tiles: sums over stages, each of one source tile, then rounding, saturation and packing. Outputs are
// computed four at a time, for kTogether vectors of rows whose sums stay in registers.
#pragma once

#include "sums.h"

namespace hitfabric {
namespace {

// All groups of a tile.
template <class Dot, int U>
HITFABRIC_INLINE void all_groups(Sums<U>& sums, const std::int32_t* x, int groups, Stream& stream) {
  for (int g = 0; g < groups; ++g) {
    sums.template group<Dot>(x + g * kRows, stream.weights);
    stream.weights += kOutputs * Dot::kWords;
  }
}

template <class Dot, int kGroups, int U>
HITFABRIC_INLINE void every_group(Sums<U>& sums, const std::int32_t* x, const Row<Dot, kGroups>&, Stream& stream) {
  all_groups<Dot>(sums, x, kGroups, stream);
}

template <class Dot, int kGroups>
HITFABRIC_INLINE void every_group(Sums<0>& sums, const std::int32_t*, const Row<Dot, kGroups>& row, Stream& stream) {
  Vec sum{};
  for (int k = 0; k < Row<Dot, kGroups>::kVectors; ++k) {
    sum = Dot::lanes(sum, load(row.values + k * kLanes), load(stream.weights + k * kLanes));
  }
  alignas(64) std::int32_t lanes[kLanes];
  store(lanes, sum);
#pragma GCC unroll 16
  for (int lane = 0; lane < kLanes; ++lane) sums.plus(lane / Dot::kWords % kOutputs, lanes[lane]);
  stream.weights += kGroups * Row<Dot, kGroups>::kPerGroup;
}

// Groups in which one of the four outputs has a weight that is not zero.
template <class Dot, int U>
HITFABRIC_INLINE void some_groups(Sums<U>& sums, const std::int32_t* x, Stream& stream) {
  const int count = *stream.groups++;
  for (int k = 0; k < count; ++k) {
    sums.template group<Dot>(x + stream.groups[k] * kRows, stream.weights);
    stream.weights += kOutputs * Dot::kWords;
  }
  stream.groups += count;
}

template <class Dot>
HITFABRIC_INLINE void some_groups(Sums<0>& sums, const std::int32_t* x, Stream& stream) {
  Sums<1> lanes;
  lanes.clear();
  some_groups<Dot>(lanes, x, stream);
  sums.plus_first_lanes(lanes);
}

// For each output its own groups.
template <class Dot, int U>
HITFABRIC_INLINE void own_groups(Sums<U>& sums, const std::int32_t* x, Stream& stream) {
#pragma GCC unroll 4
  for (int o = 0; o < kOutputs; ++o) {
    const int count = *stream.groups++;
    for (int k = 0; k < count; ++k) {
      const std::int32_t* from = x + stream.groups[k] * kRows;
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) {
        sums.of[o][u] = Dot::apply(sums.of[o][u], Dot::prepare(load(from + u * kLanes)), stream.weights);
      }
      stream.weights += Dot::kWords;
    }
    stream.groups += count;
  }
}

// Of a single row: several sums at a time, since each waits for the one before.
template <class Dot>
HITFABRIC_INLINE void own_groups(Sums<0>& sums, const std::int32_t* x, Stream& stream) {
  constexpr int kChains = 4;
  for (int o = 0; o < kOutputs; ++o) {
    const int count = *stream.groups++;
    Few chain[kChains] = {};
    int k = 0;
    for (; k + kChains <= count; k += kChains) {
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) {
        chain[c] = Dot::few(chain[c], x + stream.groups[k + c] * kRows, stream.weights + (k + c) * Dot::kWords);
      }
    }
    for (; k < count; ++k) {
      chain[0] = Dot::few(chain[0], x + stream.groups[k] * kRows, stream.weights + k * Dot::kWords);
    }
    const Few sum = (chain[0] + chain[1]) + (chain[2] + chain[3]);
    for (int word = 0; word < Dot::kWords; ++word) sums.plus(o, static_cast<std::int32_t>(sum[word]));
    stream.weights += count * Dot::kWords;
    stream.groups += count;
  }
}

enum class Rounding { kFloor, kHalfEven };

// Shifts right by `bits` with rounding, or left by -bits with saturation to `low` and `high` first.
template <Rounding R>
HITFABRIC_INLINE Vec rescale(Vec x, int bits, int low, int high) {
  if (bits < 0) {
    const int limit = ((high > -low ? high : -low) >> -bits) + 1;
    return shift_left(minimum(maximum(x, broadcast(-limit)), broadcast(limit)), -bits);
  }
  if (bits == 0) return x;
  if (R == Rounding::kFloor) return x >> bits;
  const Vec odd = (x >> bits) & 1;
  return add(add(x, broadcast((1 << (bits - 1)) - 1)), odd) >> bits;
}

// What becomes of the sums. `at`: place of the first of the four outputs in the tile written.
struct AsInts {
  template <int U>
  HITFABRIC_INLINE void write(const Sums<U>& sums, std::int32_t* at) const {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) store(at + o * kRows + u * kLanes, sums.of[o][u]);
    }
  }
};

template <Rounding R>
struct ToInts {
  int bits, low, high;

  template <int U>
  HITFABRIC_INLINE void write(const Sums<U>& sums, std::int32_t* at) const {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) {
        const Vec value = rescale<R>(sums.of[o][u], bits, low, high);
        store(at + o * kRows + u * kLanes, minimum(maximum(value, broadcast(low)), broadcast(high)));
      }
    }
  }
};

template <Rounding R>
struct ToShorts {
  int bits, low, high;

  template <int U>
  HITFABRIC_INLINE void write(const Sums<U>& sums, std::int32_t* at) const {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
#pragma GCC unroll 2
      for (int pair = 0; pair < 2; ++pair) {
        Vec half[2];
#pragma GCC unroll 2
        for (int k = 0; k < 2; ++k) {
          const Vec value = rescale<R>(sums.of[2 * pair + k][u], bits, low, high);
          half[k] = minimum(maximum(value, broadcast(low)), broadcast(high));
        }
        store(at + pair * kRows + u * kLanes, pack_shorts(half[0], half[1]));
      }
    }
  }
};

// Unsigned bytes; of a signed format the value plus 128.
template <Rounding R, bool kSigned>
struct ToBytes {
  int bits, low, high;

  template <int U>
  HITFABRIC_INLINE void write(const Sums<U>& sums, std::int32_t* at) const {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
      Vec value[kOutputs];
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) value[o] = rescale<R>(sums.of[o][u], bits, low, high);
      const Vec packed = pack_bytes<kSigned>(value[0], value[1], value[2], value[3]);
      const Vec clipped = clip_bytes<kSigned>(packed, low, high);
      store(at + u * kLanes, kSigned ? clipped ^ broadcast(static_cast<std::int32_t>(0x80808080u)) : clipped);
    }
  }
};

template <int N>
struct Count {
  static constexpr int value = N;
};

template <class Work>
HITFABRIC_INLINE Stream for_one_row(Stream stream, const Work& work) {
  work(Count<0>{}, 0, stream);
  return stream;
}

// Calls work(Count<vectors together>, first lane, stream) for all rows of a block, and returns the stream behind.
template <class Work>
HITFABRIC_INLINE Stream for_rows(int rows, Stream stream, const Work& work) {
  if (rows == 1) return for_one_row(stream, work);
  Stream behind = stream;
  if (rows > (kTogether - 1) * kLanes) {
    for (int lane = 0; lane < rows; lane += kTogether * kLanes) work(Count<kTogether>{}, lane, behind = stream);
  } else {
    for (int lane = 0; lane < rows; lane += kLanes) work(Count<1>{}, lane, behind = stream);
  }
  return behind;
}

}  // namespace
}  // namespace hitfabric
