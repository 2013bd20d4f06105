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
#include <numeric>
#include <utility>
#include <vector>

#include "blocks.h"
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
  // points: [hits, dimensions], row by row. The tree does not depend on the number of threads.
  PointTree(const float* points, std::int64_t hits, std::int64_t dimensions, int threads)
      : hits_(hits),
        dimensions_(dimensions),
        order_(static_cast<std::size_t>(hits)),
        nodes_(static_cast<std::size_t>(hits == 0 ? 0 : 2 * leaves() - 1)),
        boxes_(nodes_.size() * static_cast<std::size_t>(2 * dimensions)),
        leaf_node_(static_cast<std::size_t>(leaves())) {
    std::iota(order_.begin(), order_.end(), 0);
    if (hits == 0) return;
    std::vector<Key> keys(order_.size());
    // The halves near the root one after the other, the subtrees below side by side.
    std::vector<Subtree> subtrees{{0, 0, leaves()}};
    for (int level = 0; level < kSerialLevels; ++level) {
      std::vector<Subtree> halves;
      for (const Subtree& subtree : subtrees) split(points, subtree, keys, halves);
      subtrees.swap(halves);
    }
    for_blocks(static_cast<std::int64_t>(subtrees.size()), threads, [&](std::int64_t block) {
      std::vector<Subtree> open{subtrees[static_cast<std::size_t>(block)]};
      while (!open.empty()) {
        const Subtree subtree = open.back();
        open.pop_back();
        split(points, subtree, keys, open);
      }
    });
    store(points, threads);
  }

  std::int64_t hits() const { return hits_; }
  std::int64_t dimensions() const { return dimensions_; }
  std::int64_t leaves() const { return (hits_ + kLanes - 1) / kLanes; }

  // Hit at a place in the order of the tree.
  std::int32_t hit(std::int64_t place) const { return order_[static_cast<std::size_t>(place)]; }

  // All leaves are full but the last.
  std::int64_t leaf_start(std::int64_t leaf) const { return leaf * kLanes; }
  std::int64_t leaf_end(std::int64_t leaf) const { return std::min((leaf + 1) * kLanes, hits_); }

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
  // Nodes are in preorder: a subtree ends where `skip` leads.
  struct Node {
    std::int32_t skip;
    std::int32_t first_leaf;
    std::int32_t end_leaf;
  };

  // A node yet to be made, and its leaves.
  struct Subtree {
    std::int64_t node;
    std::int64_t first_leaf;
    std::int64_t end_leaf;
  };

  using Key = std::pair<float, std::int32_t>;
  static constexpr int kSerialLevels = 3;
  static constexpr std::int64_t kStoringBlocks = 16;

  const float* row(std::int64_t place) const { return &rows_[static_cast<std::size_t>(place * dimensions_)]; }
  const float* lanes(std::int64_t leaf) const { return &lanes_[static_cast<std::size_t>(leaf * dimensions_ * kLanes)]; }
  // Lowest and highest coordinate of each dimension in turn.
  const float* box(std::int32_t node) const { return &boxes_[static_cast<std::size_t>(node * 2 * dimensions_)]; }

  // Makes a node and orders its points into halves of whole leaves along the widest dimension; appends the halves.
  void split(const float* points, const Subtree& subtree, std::vector<Key>& keys, std::vector<Subtree>& halves) {
    const auto [node, first_leaf, end_leaf] = subtree;
    const std::int64_t end_node = node + 2 * (end_leaf - first_leaf) - 1;
    nodes_[static_cast<std::size_t>(node)] = {static_cast<std::int32_t>(end_node),
                                              static_cast<std::int32_t>(first_leaf),
                                              static_cast<std::int32_t>(end_leaf)};
    const std::int64_t first = leaf_start(first_leaf), last = leaf_end(end_leaf - 1);
    const std::int64_t widest = make_box(points, node, first, last);
    if (end_leaf - first_leaf == 1) {
      leaf_node_[static_cast<std::size_t>(first_leaf)] = static_cast<std::int32_t>(node);
      return;
    }
    const std::int64_t middle_leaf = (first_leaf + end_leaf) / 2, middle = leaf_start(middle_leaf);
    for (std::int64_t place = first; place < last; ++place) {
      keys[static_cast<std::size_t>(place)] = {points[hit(place) * dimensions_ + widest], hit(place)};
    }
    std::nth_element(keys.begin() + first, keys.begin() + middle, keys.begin() + last);
    for (std::int64_t place = first; place < last; ++place) {
      order_[static_cast<std::size_t>(place)] = keys[static_cast<std::size_t>(place)].second;
    }
    halves.push_back({node + 1, first_leaf, middle_leaf});
    halves.push_back({node + 2 * (middle_leaf - first_leaf), middle_leaf, end_leaf});
  }

  // Makes the box of the points from first to last and returns its widest dimension.
  std::int64_t make_box(const float* points, std::int64_t node, std::int64_t first, std::int64_t last) {
    float* const box = &boxes_[static_cast<std::size_t>(node * 2 * dimensions_)];
    for (std::int64_t d = 0; d < dimensions_; ++d) box[2 * d] = box[2 * d + 1] = points[hit(first) * dimensions_ + d];
    for (std::int64_t place = first + 1; place < last; ++place) {
      const float* const point = points + hit(place) * dimensions_;
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
  void store(const float* points, int threads) {
    rows_.resize(static_cast<std::size_t>(hits_ * dimensions_));
    lanes_.resize(static_cast<std::size_t>(leaves() * dimensions_ * kLanes));
    for_blocks(kStoringBlocks, threads, [&](std::int64_t block) {
      const std::int64_t end = part_start(leaves(), kStoringBlocks, block + 1);
      for (std::int64_t leaf = part_start(leaves(), kStoringBlocks, block); leaf < end; ++leaf)
        store_leaf(points, leaf);
    });
  }

  void store_leaf(const float* points, std::int64_t leaf) {
    float* row = &rows_[static_cast<std::size_t>(leaf_start(leaf) * dimensions_)];
    float* const lanes = &lanes_[static_cast<std::size_t>(leaf * dimensions_ * kLanes)];
    for (std::int64_t place = leaf_start(leaf); place < leaf_end(leaf); ++place) {
      const float* const point = points + hit(place) * dimensions_;
      row = std::copy_n(point, dimensions_, row);
      for (std::int64_t d = 0; d < dimensions_; ++d) lanes[d * kLanes + place - leaf_start(leaf)] = point[d];
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
  std::vector<float> rows_;
  std::vector<float> lanes_;
};

}  // namespace hitfabric
