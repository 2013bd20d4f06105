// Absorption: a track all of whose hits are joined with a longer one becomes part of it. See detector/absorption.py.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <tuple>
#include <vector>

#include "components.h"
#include "scored_edges.h"

namespace hitfabric {

// Works on one component at a time.
class Absorption {
 public:
  // Edges good enough to absorb over stay the caller's.
  explicit Absorption(const ScoredEdges& edges) : edges_(edges), place_(static_cast<std::size_t>(edges.hits())) {}

  // Gives the hits of a component, lowest first, new numbers from `first` on, where its tracks are numbered from
  // `first` to `next`; moves `next`. Single hits that remain get kNone.
  void absorb(const std::vector<std::int32_t>& hits, std::vector<std::int32_t>& track, std::int32_t first,
              std::int32_t& next) {
    make_groups(hits, track, first, next);
    join_hits(hits);
    find_targets();
    std::vector<std::int32_t> merged(sizes_.size(), 0);
    for (std::size_t place = 0; place < sizes_.size(); ++place) merged[target_[place]] += sizes_[place];
    for (const std::int32_t hit : hits) {
      const std::int32_t target = target_[place_[hit]];
      track[hit] = merged[target] < 2 ? kNone : first + target;
    }
    next = first + static_cast<std::int32_t>(sizes_.size());
  }

 private:
  // A hit of a shorter group that has an edge with a longer one.
  struct Joined {
    std::int32_t shorter;
    std::int32_t longer;
    std::int32_t hit;
  };

  // Tracks and single hits by place in the order of length: the longest first, of equals the one with the lowest hit.
  void make_groups(const std::vector<std::int32_t>& hits, const std::vector<std::int32_t>& track, std::int32_t first,
                   std::int32_t next) {
    // Groups are numbered by their lowest hit, so that a stable order by size keeps that one.
    std::vector<std::int32_t> number(static_cast<std::size_t>(next - first), kNone), counts;
    for (const std::int32_t hit : hits) {
      std::int32_t group = track[hit] == kNone ? kNone : number[track[hit] - first];
      if (group == kNone) {
        group = static_cast<std::int32_t>(counts.size());
        counts.push_back(0);
        if (track[hit] != kNone) number[track[hit] - first] = group;
      }
      ++counts[group];
      place_[hit] = group;
    }
    std::vector<std::int32_t> order(counts.size()), place(counts.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return counts[a] > counts[b]; });
    sizes_.clear();
    for (const std::int32_t group : order) {
      place[group] = static_cast<std::int32_t>(sizes_.size());
      sizes_.push_back(counts[group]);
    }
    for (const std::int32_t hit : hits) place_[hit] = place[place_[hit]];
  }

  void join_hits(const std::vector<std::int32_t>& hits) {
    joined_.clear();
    for (const std::int32_t sender : hits) {
      for (const Edge* edge = edges_.begin(sender); edge != edges_.end(sender); ++edge) {
        const std::int32_t there = place_[edge->receiver], here = place_[sender];
        if (here < there) joined_.push_back({there, here, edge->receiver});
        if (here > there) joined_.push_back({here, there, sender});
      }
    }
    std::sort(joined_.begin(), joined_.end(), [](const Joined& a, const Joined& b) {
      return std::tie(a.shorter, a.longer, a.hit) < std::tie(b.shorter, b.longer, b.hit);
    });
  }

  // Place of the group each group ends in, itself where none absorbs it; a group that absorbs and is absorbed takes
  // along what it absorbed. Of several that qualify the one with the most edges absorbs, then the longer.
  void find_targets() {
    target_.resize(sizes_.size());
    std::iota(target_.begin(), target_.end(), 0);
    std::vector<std::int64_t> most(sizes_.size(), 0);
    for (auto first = joined_.cbegin(); first != joined_.cend();) {
      std::int64_t edges = 0;
      std::int32_t hits = 0, last_hit = kNone;
      auto here = first;
      for (; here != joined_.cend() && here->shorter == first->shorter && here->longer == first->longer; ++here) {
        ++edges;
        hits += here->hit != last_hit ? 1 : 0;
        last_hit = here->hit;
      }
      const bool qualifies = hits == sizes_[first->shorter] && sizes_[first->longer] >= 2;
      if (qualifies && edges > most[first->shorter]) {
        most[first->shorter] = edges;
        target_[first->shorter] = first->longer;
      }
      first = here;
    }
    // What absorbs is longer and has the lower place, so that its own end is known already.
    for (std::int32_t& target : target_) target = target_[target];
  }

  const ScoredEdges& edges_;
  std::vector<std::int32_t> place_;
  std::vector<std::int32_t> sizes_;
  std::vector<std::int32_t> target_;
  std::vector<Joined> joined_;
};

}  // namespace hitfabric
