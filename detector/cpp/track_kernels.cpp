// Compiled track building: connected components and the walkthrough. C interface.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <stdexcept>
#include <vector>

#include "components.h"
#include "status.h"
#include "walkthrough.h"

namespace hitfabric {
namespace {

// Runs what may throw and returns the status that says how it went.
template <typename Build>
int build_status(std::int64_t count, std::int64_t hits, const Build& build) {
  if (std::max(count, hits) >= std::numeric_limits<std::int32_t>::max()) return kOutOfMemory;
  try {
    build(static_cast<std::int32_t>(hits));
    return 0;
  } catch (const BadIndex&) {
    return kBadIndex;
  } catch (const NotFinite&) {
    return kNotFinite;
  } catch (const Cycle&) {
    return kCycle;
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  } catch (const std::length_error&) {
    return kOutOfMemory;
  }
}

void build_components(const std::int64_t* pairs, const bool* keep, std::int64_t count, std::int32_t hits,
                      std::int64_t minimum_hits, std::int64_t* labels) {
  Components components(hits);
  for (std::int64_t row = 0; row < count; ++row) {
    if (keep != nullptr && !keep[row]) continue;
    const std::int64_t first = pairs[2 * row], second = pairs[2 * row + 1];
    if (std::min(first, second) < 0 || std::max(first, second) >= hits) throw BadIndex{};
    components.join(static_cast<std::int32_t>(first), static_cast<std::int32_t>(second));
  }
  std::vector<std::int32_t> track(static_cast<std::size_t>(hits));
  for (std::int32_t hit = 0; hit < hits; ++hit) track[hit] = components.lowest(hit);
  number_tracks(track, minimum_hits, labels);
}

}  // namespace
}  // namespace hitfabric

extern "C" {

// Labels int64 [hits] of the connected components of edges int64 [count, 2]; `keep` bool [count] names the edges to
// follow, null follows all.
int hitfabric_connected_components(const std::int64_t* pairs, const bool* keep, std::int64_t count, std::int64_t hits,
                                   std::int64_t minimum_hits, std::int64_t* labels) {
  return hitfabric::build_status(count, hits, [&](std::int32_t hits32) {
    hitfabric::build_components(pairs, keep, count, hits32, minimum_hits, labels);
  });
}

// Labels int64 [hits] of the walkthrough over edges int64 [count, 2] with logits float64 [count]. Thresholds are
// component_threshold, walk_min and walk_add.
int hitfabric_walk_tracks(const std::int64_t* pairs, const double* logits, std::int64_t count, std::int64_t hits,
                          const double* thresholds, std::int64_t minimum_hits, int absorb, std::int64_t* labels) {
  const hitfabric::WalkCuts cuts{thresholds[0], thresholds[1], thresholds[2], minimum_hits, absorb != 0};
  return hitfabric::build_status(
      count, hits, [&](std::int32_t hits32) { hitfabric::walk_tracks(pairs, logits, count, hits32, cuts, labels); });
}
}
