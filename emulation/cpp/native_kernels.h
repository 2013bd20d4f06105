// Kernels of the native executor. A block holds kLanes rows, one per vector lane: x[feature][lane].
// All values are integers held exactly in float (at most 24 bits) or double (at most 53 bits); the generator has
// proven that no intermediate sum leaves that range, so every operation here is exact in any order.
#pragma once

#include <cmath>
#include <cstdint>

namespace hitfabric {

constexpr int kLanes = 32;

enum class Rounding { kFloor, kHalfEven };

template <Rounding R, class T>
inline T round_value(T value) {
  return R == Rounding::kFloor ? std::floor(value) : std::nearbyint(value);
}

template <class T>
inline T clip(T value, T low, T high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

// Quantizes float32 rows [count][F] to integers.
template <Rounding R, int F, class T>
inline void load_features(const float* rows, int count, double scale, T low, T high, T (&y)[F][kLanes]) {
  for (int f = 0; f < F; ++f) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const double value = lane < count ? static_cast<double>(rows[lane * F + f]) * scale : 0.0;
      y[f][lane] = clip(static_cast<T>(round_value<R>(clip(value, -1e15, 1e15))), low, high);
    }
  }
}

template <int F, class T>
inline void load_rows(const T* rows, int count, T (&y)[F][kLanes]) {
  for (int f = 0; f < F; ++f) {
    for (int lane = 0; lane < kLanes; ++lane) y[f][lane] = lane < count ? rows[lane * F + f] : T(0);
  }
}

template <int F, class T>
inline void store_rows(const T (&x)[F][kLanes], int count, T* rows) {
  for (int lane = 0; lane < count; ++lane) {
    for (int f = 0; f < F; ++f) rows[lane * F + f] = x[f][lane];
  }
}

template <int F, class T>
inline void store_floats(const T (&x)[F][kLanes], int count, double scale, float* rows) {
  for (int lane = 0; lane < count; ++lane) {
    for (int f = 0; f < F; ++f) rows[lane * F + f] = static_cast<float>(static_cast<double>(x[f][lane]) * scale);
  }
}

template <int F, class T>
inline void store_integers(const T (&x)[F][kLanes], int count, std::int64_t* rows) {
  for (int lane = 0; lane < count; ++lane) {
    for (int f = 0; f < F; ++f) rows[lane * F + f] = static_cast<std::int64_t>(x[f][lane]);
  }
}

// y = W x + b; four outputs at a time, so that each loaded feature is used four times from a register.
template <class A, int In, int Out, class X>
inline void dense(const X (&x)[In][kLanes], const A* weight, const A* bias, A (&y)[Out][kLanes]) {
  constexpr int kTile = 4;
  int o = 0;
  for (; o + kTile <= Out; o += kTile) {
    A sum[kTile][kLanes];
    for (int t = 0; t < kTile; ++t) {
      for (int lane = 0; lane < kLanes; ++lane) sum[t][lane] = bias[o + t];
    }
    for (int i = 0; i < In; ++i) {
      for (int t = 0; t < kTile; ++t) {
        const A w = weight[(o + t) * In + i];
        for (int lane = 0; lane < kLanes; ++lane) sum[t][lane] += w * static_cast<A>(x[i][lane]);
      }
    }
    for (int t = 0; t < kTile; ++t) {
      for (int lane = 0; lane < kLanes; ++lane) y[o + t][lane] = sum[t][lane];
    }
  }
  for (; o < Out; ++o) {
    A sum[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) sum[lane] = bias[o];
    for (int i = 0; i < In; ++i) {
      const A w = weight[o * In + i];
      for (int lane = 0; lane < kLanes; ++lane) sum[lane] += w * static_cast<A>(x[i][lane]);
    }
    for (int lane = 0; lane < kLanes; ++lane) y[o][lane] = sum[lane];
  }
}

template <Rounding R, int F, class X, class Y>
inline void requantize(const X (&x)[F][kLanes], X scale, Y low, Y high, Y (&y)[F][kLanes]) {
  for (int f = 0; f < F; ++f) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const X value = round_value<R>(x[f][lane] * scale);
      y[f][lane] = static_cast<Y>(clip(value, static_cast<X>(low), static_cast<X>(high)));
    }
  }
}

// Copies features to y[at...], on a grid finer by `scale`.
template <int F, int G, class X, class Y>
inline void place(const X (&x)[F][kLanes], Y scale, int at, Y (&y)[G][kLanes]) {
  for (int f = 0; f < F; ++f) {
    for (int lane = 0; lane < kLanes; ++lane) y[at + f][lane] = static_cast<Y>(x[f][lane]) * scale;
  }
}

template <int F, class A, class B, class Y>
inline void add(const A (&a)[F][kLanes], Y a_scale, const B (&b)[F][kLanes], Y b_scale, Y (&y)[F][kLanes]) {
  for (int f = 0; f < F; ++f) {
    for (int lane = 0; lane < kLanes; ++lane) {
      y[f][lane] = static_cast<Y>(a[f][lane]) * a_scale + static_cast<Y>(b[f][lane]) * b_scale;
    }
  }
}

// [x[sender], x[receiver]]; an index at or above `nodes` is padding and gives zeros.
template <int F, class T>
inline void gather(const T* x, std::int64_t nodes, const std::int64_t* index, int count, T (&y)[2 * F][kLanes]) {
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int end = 0; end < 2; ++end) {
      const std::int64_t node = lane < count ? index[2 * lane + end] : nodes;
      for (int f = 0; f < F; ++f) y[end * F + f][lane] = node < nodes ? x[node * F + f] : T(0);
    }
  }
}

template <bool Maximum, int F, class T>
inline void aggregate(const T* edges, const std::int64_t* index, int column, std::int64_t count, std::int64_t nodes,
                      double* sums) {
  for (std::int64_t e = 0; e < count; ++e) {
    const std::int64_t node = index[2 * e + column];
    if (node >= nodes) continue;
    for (int f = 0; f < F; ++f) {
      const double value = edges[e * F + f];
      double& sum = sums[node * F + f];
      sum = Maximum ? (value > sum ? value : sum) : sum + value;
    }
  }
}

}  // namespace hitfabric
