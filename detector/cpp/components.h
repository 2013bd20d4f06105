// Connected components by union and find; the lowest hit of a component stands for it.

#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace hitfabric {

constexpr std::int32_t kNone = -1;

class Components {
 public:
  explicit Components(std::int32_t hits) : above_(static_cast<std::size_t>(hits)) {
    std::iota(above_.begin(), above_.end(), 0);
  }

  // Lowest hit of the component of a hit.
  std::int32_t lowest(std::int32_t hit) {
    while (above_[hit] != hit) hit = above_[hit] = above_[above_[hit]];
    return hit;
  }

  void join(std::int32_t first, std::int32_t second) {
    first = lowest(first);
    second = lowest(second);
    if (first > second) std::swap(first, second);
    above_[second] = first;
  }

 private:
  std::vector<std::int32_t> above_;
};

// Writes labels 0, 1, ... in the order of each track's lowest hit, -1 for the hits on no track (kNone) or on one of
// fewer than `minimum_hits`. Numbers of tracks are below the number of hits.
inline void number_tracks(const std::vector<std::int32_t>& track, std::int64_t minimum_hits, std::int64_t* labels) {
  std::vector<std::int32_t> sizes(track.size(), 0), numbers(track.size(), kNone);
  for (const std::int32_t number : track) {
    if (number != kNone) ++sizes[number];
  }
  std::int32_t numbered = 0;
  for (std::size_t hit = 0; hit < track.size(); ++hit) {
    labels[hit] = kNone;
    if (track[hit] == kNone || sizes[track[hit]] < minimum_hits) continue;
    std::int32_t& number = numbers[track[hit]];
    if (number == kNone) number = numbered++;
    labels[hit] = number;
  }
}

}  // namespace hitfabric
