// Compiled host stages of the event chain: radius graphs with their window, and pair features. C interface.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "blocks.h"
#include "pairs.h"
#include "point_tree.h"
#include "status.h"

namespace hitfabric {
namespace {

constexpr std::int64_t kLeavesPerBlock = 16;
constexpr std::int64_t kPairsPerBlock = 1 << 14;
constexpr std::int64_t kOrderingBlocks = 64;

// One hit in the order of the tree.
struct Hit {
  float position[3];
  std::int32_t index;
  double distance;  // squared, from the origin
};

// A search and the edges it found: sender << 32 | receiver.
struct Search {
  PointTree tree;
  std::vector<std::vector<std::uint64_t>> found;
  std::int64_t edges = 0;
};

std::vector<Hit> hits_by_place(const PointTree& tree, const float* features) {
  std::vector<Hit> hits(static_cast<std::size_t>(tree.hits()));
  for (std::int64_t place = 0; place < tree.hits(); ++place) {
    Hit& hit = hits[static_cast<std::size_t>(place)];
    hit = {{0, 0, 0}, tree.hit(place), 0};
    if (features == nullptr) continue;
    std::copy_n(features + std::int64_t{3} * hit.index, 3, hit.position);
    const double r = hit.position[0], z = hit.position[2];
    hit.distance = r * r + z * z;
  }
  return hits;
}

// Whether the edge between two hits leads from the second to the first: outwards, from the lower index if equally far.
bool leads_back(const Hit& first, const Hit& second) {
  return first.index < second.index ? second.distance < first.distance : !(first.distance < second.distance);
}

// Fills `found` and returns the number of pairs within the radius, in the window or not. Beyond `most` pairs they are
// counted only.
std::int64_t search(Search& search, double radius, const float* features, const Window* window, std::int64_t most,
                    int threads) {
  const PointTree& tree = search.tree;
  const Radius limit(radius, tree.dimensions());
  const std::vector<Hit> hits = hits_by_place(tree, features);
  const std::int64_t blocks = (tree.leaves() + kLeavesPerBlock - 1) / kLeavesPerBlock;
  search.found.assign(static_cast<std::size_t>(blocks), {});
  std::atomic<std::int64_t> within{0};
  for_blocks(blocks, threads, [&](std::int64_t block) {
    std::vector<std::uint64_t>& edges = search.found[static_cast<std::size_t>(block)];
    const std::int64_t end = std::min((block + 1) * kLeavesPerBlock, tree.leaves());
    for (std::int64_t leaf = block * kLeavesPerBlock; leaf < end; ++leaf) {
      const bool stores = within <= most;
      std::int64_t count = 0;
      tree.pairs_of_leaf(leaf, limit, [&](std::int64_t first, std::int64_t second) {
        ++count;
        if (!stores) return;
        const Hit* sender = &hits[static_cast<std::size_t>(first)];
        const Hit* receiver = &hits[static_cast<std::size_t>(second)];
        if (leads_back(*sender, *receiver)) std::swap(sender, receiver);
        if (window != nullptr && !window->keeps(pair_geometry(sender->position, receiver->position))) return;
        edges.push_back(static_cast<std::uint64_t>(sender->index) << 32 | static_cast<std::uint64_t>(receiver->index));
      });
      within += count;
    }
  });
  for (const auto& edges : search.found) search.edges += static_cast<std::int64_t>(edges.size());
  return within;
}

// Writes the edges [edges, 2] sorted by sender, then receiver, and forgets them.
void write_edges(Search& search, std::int64_t* edges, int threads) {
  const std::int64_t hits = search.tree.hits();
  std::vector<std::int64_t> start(static_cast<std::size_t>(hits) + 2, 0);
  for (const auto& found : search.found) {
    for (const std::uint64_t edge : found) ++start[(edge >> 32) + 2];
  }
  for (std::size_t hit = 2; hit < start.size(); ++hit) start[hit] += start[hit - 1];
  // Entry hit + 1 moves from the first edge of the hit to its end, which is the first of the next.
  std::vector<std::int32_t> receivers(static_cast<std::size_t>(search.edges));
  for (auto& found : search.found) {
    for (const std::uint64_t edge : found) {
      receivers[static_cast<std::size_t>(start[(edge >> 32) + 1]++)] = static_cast<std::int32_t>(edge & 0xFFFFFFFFU);
    }
    found = {};
  }
  for_blocks(kOrderingBlocks, threads, [&](std::int64_t block) {
    const std::int64_t end = part_start(hits, kOrderingBlocks, block + 1);
    for (std::int64_t hit = part_start(hits, kOrderingBlocks, block); hit < end; ++hit) {
      const std::int64_t first = start[static_cast<std::size_t>(hit)], last = start[static_cast<std::size_t>(hit) + 1];
      std::sort(receivers.begin() + first, receivers.begin() + last);
      for (std::int64_t edge = first; edge < last; ++edge) {
        edges[2 * edge] = hit;
        edges[2 * edge + 1] = receivers[static_cast<std::size_t>(edge)];
      }
    }
  });
}

// Hits of pair features: r (mm), phi (rad), z (mm), eta.
constexpr std::int64_t kColumns = 4;

void write_pair(const double* sender, const double* receiver, const double* divisors, float* row) {
  const Pair pair = pair_geometry(sender, receiver);
  const double columns[] = {pair.dphi, pair.dr, pair.dz, receiver[3] - sender[3], pair.phi_slope, pair.z0};
  for (int column = 0; column < 6; ++column) row[column] = clipped(columns[column] / divisors[column]);
}

}  // namespace
}  // namespace hitfabric

using hitfabric::Search;

extern "C" {

// Builds the tree of points float32 [hits, dimensions]; null if memory or the 32-bit indices do not suffice.
void* hitfabric_radius_open(const float* points, std::int64_t hits, std::int64_t dimensions, int threads) {
  if (hits > std::numeric_limits<std::int32_t>::max()) return nullptr;
  try {
    return new Search{hitfabric::PointTree(points, hits, dimensions, threads), {}, 0};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void hitfabric_radius_close(void* handle) { delete static_cast<Search*>(handle); }

// Number of points within the radius of each of some points float32 [count, dimensions], all together.
int hitfabric_radius_count(const void* handle, double radius, const float* points, std::int64_t count,
                           std::int64_t* neighbours) {
  try {
    const hitfabric::PointTree& tree = static_cast<const Search*>(handle)->tree;
    *neighbours = tree.neighbours(points, count, hitfabric::Radius(radius, tree.dimensions()));
    return 0;
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  }
}

// Searches; sizes receives the pairs within the radius and the edges stored (those in the window, if one is given:
// max_phi_slope and max_z0). Features float32 [hits, 3] direct the edges outwards; without them they go by index.
int hitfabric_radius_search(void* handle, double radius, const float* features, const double* window, std::int64_t most,
                            int threads, std::int64_t* sizes) {
  try {
    Search& search = *static_cast<Search*>(handle);
    const hitfabric::Window cuts =
        window == nullptr ? hitfabric::Window{0, 0} : hitfabric::Window{window[0], window[1]};
    sizes[0] = hitfabric::search(search, radius, features, window == nullptr ? nullptr : &cuts, most, threads);
    sizes[1] = search.edges;
    return 0;
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  }
}

// Writes the edges found, int64 [edges, 2], sorted.
int hitfabric_radius_edges(void* handle, std::int64_t* edges, int threads) {
  try {
    hitfabric::write_edges(*static_cast<Search*>(handle), edges, threads);
    return 0;
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  }
}

// Pair features [edges, ends + ends + 6] of edges int64 [edges, 2] between hits float64 [hits, 4]; `ends` columns of
// each hit, float32 [hits, ends], are copied for the sender, then for the receiver.
int hitfabric_pair_features(const double* hits, const float* end_columns, std::int64_t count, std::int64_t ends,
                            const std::int64_t* edges, std::int64_t pairs, const double* divisors, float* rows,
                            int threads) {
  std::atomic<bool> bad{false};
  const std::int64_t blocks = (pairs + hitfabric::kPairsPerBlock - 1) / hitfabric::kPairsPerBlock;
  hitfabric::for_blocks(blocks, threads, [&](std::int64_t block) {
    const std::int64_t end = std::min((block + 1) * hitfabric::kPairsPerBlock, pairs);
    for (std::int64_t pair = block * hitfabric::kPairsPerBlock; pair < end; ++pair) {
      const std::int64_t sender = edges[2 * pair], receiver = edges[2 * pair + 1];
      if (std::min(sender, receiver) < 0 || std::max(sender, receiver) >= count) {
        bad = true;
        return;
      }
      float* row = rows + pair * (2 * ends + 6);
      row = std::copy_n(end_columns + sender * ends, ends, row);
      row = std::copy_n(end_columns + receiver * ends, ends, row);
      hitfabric::write_pair(hits + sender * hitfabric::kColumns, hits + receiver * hitfabric::kColumns, divisors, row);
    }
  });
  return bad ? kBadIndex : 0;
}
}
