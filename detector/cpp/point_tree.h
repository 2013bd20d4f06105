// A tree of boxes over points, whose leaves hold up to 32 points side by side, one vector lane each.
//
// Boxes and distances are computed in float32, which decides all but the pairs within rounding of the radius; those are
// computed again in float64, in the order of the dimensions. A pair is joined if that float64 sum of squares is at most
// the float64 square of the radius, whatever the processor.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "lanes.h"

namespace hitfabric {

// Squared radius, and the float32 sums below which a pair is surely joined and above which it is surely not.
struct Radius {
  double squared;
  float sure;
  float possible;

  Radius(double radius, std::int64_t dimensions) : squared(radius * radius) {
    // A sum of d squares in float32 is off by at most (d + 2) roundings of 2^-24 each; this allows four times that.
    const double slack = static_cast<double>(dimensions + 2) * 0x1p-22;
    const double largest = squared * (1 + slack);
    possible = largest < 1e38 ? std::nextafter(static_cast<float>(largest), std::numeric_limits<float>::infinity())
                              : std::numeric_limits<float>::infinity();
    // Squares may vanish in float32 where the radius itself is that small, and overflow where it is that large.
    sure = squared > 1e-30 && squared < 1e37 ? static_cast<float>(squared * (1 - slack)) : -1.0F;
  }
};

class PointTree {
 public:
  // points: [hits, dimensions], row by row.
  PointTree(const float* points, std::int64_t hits, std::int64_t dimensions)
      : hits_(hits), dimensions_(dimensions), order_(static_cast<std::size_t>(hits)) {
    for (std::int64_t hit = 0; hit < hits; ++hit)
      order_[static_cast<std::size_t>(hit)] = static_cast<std::int32_t>(hit);
    const std::int64_t leaves = (hits + kLanes - 1) / kLanes;
    nodes_.reserve(static_cast<std::size_t>(2 * leaves));
    boxes_.reserve(static_cast<std::size_t>(4 * leaves * dimensions));
    std::vector<std::pair<float, std::int32_t>> keys(order_.size());
    if (hits > 0) split(points, 0, hits, keys);
    store(points, leaves);
  }

  std::int64_t hits() const { return hits_; }
  std::int64_t dimensions() const { return dimensions_; }
  std::int64_t leaves() const { return static_cast<std::int64_t>(starts_.size()); }

  // Hit at a place in the order of the tree.
  std::int32_t hit(std::int64_t place) const { return order_[static_cast<std::size_t>(place)]; }

  std::int64_t leaf_start(std::int64_t leaf) const { return starts_[static_cast<std::size_t>(leaf)]; }
  std::int64_t leaf_end(std::int64_t leaf) const {
    return leaf + 1 < leaves() ? starts_[static_cast<std::size_t>(leaf + 1)] : hits_;
  }

  // Calls found(first place, second place), first < second, for every pair within the radius of which the first is in
  // the given leaf.
  template <typename Found>
  void pairs_of_leaf(std::int64_t leaf, const Radius& radius, const Found& found) const {
    const std::int64_t start = leaf_start(leaf), end = leaf_end(leaf);
    visit(box(leaf_node_[static_cast<std::size_t>(leaf)]), radius, leaf, [&](std::int64_t other, std::int32_t node) {
      const std::int64_t other_start = leaf_start(other);
      std::uint32_t close =
          lanes_near_box(lanes(leaf), box(node), dimensions_, radius.possible) & first_lanes(end - start);
      for (; close != 0; close &= close - 1) {
        const std::int64_t place = start + __builtin_ctz(close);
        std::uint32_t near = near_lanes(row(place), other, radius);
        if (other == leaf) near &= ~first_lanes(place - start + 1);
        for (; near != 0; near &= near - 1) found(place, other_start + __builtin_ctz(near));
      }
    });
  }

  // Number of points within the radius of each of some points [count, dimensions], all together.
  std::int64_t neighbours(const float* points, std::int64_t count, const Radius& radius) const {
    std::vector<float> corners(static_cast<std::size_t>(2 * dimensions_));
    std::int64_t found = 0;
    for (const float* point = points; point < points + count * dimensions_; point += dimensions_) {
      for (std::int64_t d = 0; d < 2 * dimensions_; ++d) corners[static_cast<std::size_t>(d)] = point[d / 2];
      visit(corners.data(), radius, 0,
            [&](std::int64_t leaf, std::int32_t) { found += __builtin_popcount(near_lanes(point, leaf, radius)); });
    }
    return found;
  }

 private:
  // Nodes in preorder: a subtree ends where `skip` leads, and holds the leaves before `end_leaf`.
  struct Node {
    std::int32_t skip;
    std::int32_t first_leaf;
    std::int32_t end_leaf;
  };

  const float* row(std::int64_t place) const { return &rows_[static_cast<std::size_t>(place * dimensions_)]; }
  const float* lanes(std::int64_t leaf) const { return &lanes_[static_cast<std::size_t>(leaf * dimensions_ * kLanes)]; }
  // Lowest and highest coordinate of each dimension in turn.
  const float* box(std::int32_t node) const { return &boxes_[static_cast<std::size_t>(node * 2 * dimensions_)]; }

  // Makes the subtree of the points from first to last: halves of whole leaves along the widest dimension.
  void split(const float* points, std::int64_t first, std::int64_t last,
             std::vector<std::pair<float, std::int32_t>>& keys) {
    const std::size_t node = nodes_.size();
    nodes_.push_back({0, static_cast<std::int32_t>(starts_.size()), 0});
    const std::int64_t widest = add_box(points, first, last);
    const std::int64_t whole = (last - first + kLanes - 1) / kLanes;
    if (whole <= 1) {
      leaf_node_.push_back(static_cast<std::int32_t>(node));
      starts_.push_back(first);
    } else {
      const std::int64_t middle = first + whole / 2 * kLanes;
      for (std::int64_t place = first; place < last; ++place) {
        const std::int32_t hit = order_[static_cast<std::size_t>(place)];
        keys[static_cast<std::size_t>(place)] = {points[hit * dimensions_ + widest], hit};
      }
      std::nth_element(keys.begin() + first, keys.begin() + middle, keys.begin() + last);
      for (std::int64_t place = first; place < last; ++place) {
        order_[static_cast<std::size_t>(place)] = keys[static_cast<std::size_t>(place)].second;
      }
      split(points, first, middle, keys);
      split(points, middle, last, keys);
    }
    nodes_[node].skip = static_cast<std::int32_t>(nodes_.size());
    nodes_[node].end_leaf = static_cast<std::int32_t>(starts_.size());
  }

  // Appends the box of the points from first to last and returns its widest dimension.
  std::int64_t add_box(const float* points, std::int64_t first, std::int64_t last) {
    const std::size_t start = boxes_.size();
    for (std::int64_t d = 0; d < dimensions_; ++d) {
      boxes_.push_back(std::numeric_limits<float>::infinity());
      boxes_.push_back(-std::numeric_limits<float>::infinity());
    }
    float* const box = boxes_.data() + start;
    for (std::int64_t place = first; place < last; ++place) {
      const float* const point = points + order_[static_cast<std::size_t>(place)] * dimensions_;
      for (std::int64_t d = 0; d < dimensions_; ++d) {
        box[2 * d] = std::min(box[2 * d], point[d]);
        box[2 * d + 1] = std::max(box[2 * d + 1], point[d]);
      }
    }
    std::int64_t widest = 0;
    for (std::int64_t d = 1; d < dimensions_; ++d) {
      if (box[2 * d + 1] - box[2 * d] > box[2 * widest + 1] - box[2 * widest]) widest = d;
    }
    return widest;
  }

  // Copies the points in the order of the tree: by rows, and by lanes of each leaf.
  void store(const float* points, std::int64_t leaves) {
    rows_.resize(static_cast<std::size_t>(hits_ * dimensions_));
    lanes_.assign(static_cast<std::size_t>(leaves * dimensions_ * kLanes), 0.0F);
    for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
      for (std::int64_t place = leaf_start(leaf); place < leaf_end(leaf); ++place) {
        for (std::int64_t d = 0; d < dimensions_; ++d) {
          const float value = points[hit(place) * dimensions_ + d];
          rows_[static_cast<std::size_t>(place * dimensions_ + d)] = value;
          lanes_[static_cast<std::size_t>((leaf * dimensions_ + d) * kLanes + place - leaf_start(leaf))] = value;
        }
      }
    }
  }

  // Calls found(leaf, its node) for the leaves from `from` on whose boxes the given box may reach.
  template <typename Found>
  void visit(const float* around, const Radius& radius, std::int64_t from, const Found& found) const {
    const auto end = static_cast<std::int32_t>(nodes_.size());
    for (std::int32_t node = 0; node < end;) {
      const Node& here = nodes_[static_cast<std::size_t>(node)];
      if (here.end_leaf <= from || !boxes_near(around, box(node), dimensions_, radius.possible)) {
        node = here.skip;
        continue;
      }
      if (here.end_leaf - here.first_leaf == 1) found(here.first_leaf, node);
      ++node;
    }
  }

  // Lanes of a leaf whose points are within the radius of a point.
  std::uint32_t near_lanes(const float* point, std::int64_t leaf, const Radius& radius) const {
    const std::uint32_t there = first_lanes(leaf_end(leaf) - leaf_start(leaf));
    auto [possible, sure] = lanes_near_point(lanes(leaf), point, dimensions_, radius.possible, radius.sure);
    possible &= there;
    for (std::uint32_t open = possible & ~sure; open != 0; open &= open - 1) {
      const int lane = __builtin_ctz(open);
      if (squared_distance(point, row(leaf_start(leaf) + lane)) > radius.squared) possible ^= 1U << lane;
    }
    return possible;
  }

  double squared_distance(const float* first, const float* second) const {
    double total = 0;
    for (std::int64_t d = 0; d < dimensions_; ++d) {
      const double step = static_cast<double>(first[d]) - static_cast<double>(second[d]);
      total += step * step;
    }
    return total;
  }

  std::int64_t hits_;
  std::int64_t dimensions_;
  std::vector<std::int32_t> order_;
  std::vector<Node> nodes_;
  std::vector<float> boxes_;
  std::vector<std::int32_t> leaf_node_;
  std::vector<std::int64_t> starts_;
  std::vector<float> rows_;
  std::vector<float> lanes_;
};

}  // namespace hitfabric
