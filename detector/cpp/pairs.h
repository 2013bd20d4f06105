// What two hits suggest of a track. Every operation is the one of detector/features.py, in its order, so that both give
// the same bits; the compiler must not contract products and sums (-ffp-contract=off).

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace hitfabric {

constexpr double kTwoPi = 2 * 3.141592653589793;
constexpr double kPi = 3.141592653589793;
constexpr double kSmallestStep = 1e-3;
constexpr double kSaturation = 4.0;

struct Pair {
  double dphi;
  double dr;
  double dz;
  double phi_slope;
  double z0;
};

inline double wrap_angle(double angle) {
  const double turns = std::nearbyint(angle / kTwoPi);
  return std::min(std::max(angle - turns * kTwoPi, -kPi), kPi);
}

// Each end is r (mm), phi (rad), z (mm).
template <typename Number>
Pair pair_geometry(const Number* sender, const Number* receiver) {
  const double r = sender[0], z = sender[2];
  Pair pair;
  pair.dphi = wrap_angle(static_cast<double>(receiver[1]) - static_cast<double>(sender[1]));
  pair.dr = static_cast<double>(receiver[0]) - r;
  pair.dz = static_cast<double>(receiver[2]) - z;
  const double step = std::fabs(pair.dr) < kSmallestStep ? std::copysign(kSmallestStep, pair.dr) : pair.dr;
  pair.phi_slope = pair.dphi / step;
  pair.z0 = z - r * (pair.dz / step);
  return pair;
}

struct Window {
  double max_phi_slope;
  double max_z0;

  bool keeps(const Pair& pair) const {
    return std::fabs(pair.phi_slope) <= max_phi_slope && std::fabs(pair.z0) <= max_z0;
  }
};

inline float clipped(double value) { return static_cast<float>(std::min(std::max(value, -kSaturation), kSaturation)); }

}  // namespace hitfabric
