// Edges an event's walk may follow, from edges with logits: those above a threshold, each pair once, sender by sender.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace hitfabric {

// Thresholds of the walkthrough; see detector/walkthrough.py.
struct WalkCuts {
  double component_threshold;
  double walk_min;
  double walk_add;
  std::int64_t minimum_hits;
  bool absorb;
};

struct Edge {
  std::int32_t receiver;
  std::int32_t weight;  // the logit in steps of 1 / kLogitSteps
  bool follow;          // if it is the best of its sender
  bool certain;         // in any case
};

struct NotFinite {};
struct BadIndex {};

constexpr double kLogitSteps = 65536;
constexpr double kLogitLimit = 1024;

// Edges of each sender are those from start[sender] to start[sender + 1].
struct ScoredEdges {
  std::vector<std::int32_t> start;
  std::vector<Edge> edges;

  std::int32_t hits() const { return static_cast<std::int32_t>(start.size()) - 1; }
  const Edge* begin(std::int32_t sender) const { return edges.data() + start[sender]; }
  const Edge* end(std::int32_t sender) const { return edges.data() + start[sender + 1]; }

  // Keeps, of the edges of each sender, what keep(sender, first, last) has moved to the front, up to what it returns.
  template <typename Keep>
  void shrink(const Keep& keep) {
    Edge* kept = edges.data();
    std::int32_t from = 0;
    for (std::int32_t sender = 0; sender < hits(); ++sender) {
      Edge* const first = edges.data() + from;
      from = start[sender + 1];
      kept = std::copy(first, keep(sender, first, edges.data() + from), kept);
      start[sender + 1] = static_cast<std::int32_t>(kept - edges.data());
    }
    edges.resize(static_cast<std::size_t>(start.back()));
  }
};

inline Edge scored_edge(std::int64_t receiver, double logit, const WalkCuts& cuts) {
  const double steps = std::nearbyint(std::min(std::max(logit, -kLogitLimit), kLogitLimit) * kLogitSteps);
  return {static_cast<std::int32_t>(receiver), static_cast<std::int32_t>(steps), logit >= cuts.walk_min,
          logit >= cuts.walk_add};
}

// Sorts edges of one sender by receiver and makes those to one receiver one, as good as the best; returns their end.
inline Edge* merge_repeated(Edge* first, Edge* last) {
  const auto before = [](const Edge& a, const Edge& b) { return a.receiver < b.receiver; };
  if (!std::is_sorted(first, last, before)) std::sort(first, last, before);
  Edge* kept = first;
  for (Edge* edge = first; edge != last; ++edge) {
    if (kept != first && kept[-1].receiver == edge->receiver) {
      Edge& same = kept[-1];
      same = {same.receiver, std::max(same.weight, edge->weight), same.follow || edge->follow,
              same.certain || edge->certain};
    } else {
      *kept++ = *edge;
    }
  }
  return kept;
}

// Edges int64 [count, 2] with logits [count] at or above the component threshold.
inline ScoredEdges accepted_edges(const std::int64_t* pairs, const double* logits, std::int64_t count,
                                  std::int32_t hits, const WalkCuts& cuts) {
  ScoredEdges accepted;
  // Entry sender + 1 counts, then moves from the first edge of the sender to its end.
  std::vector<std::int32_t>& start = accepted.start;
  start.assign(static_cast<std::size_t>(hits) + 2, 0);
  for (std::int64_t row = 0; row < count; ++row) {
    const std::int64_t sender = pairs[2 * row], receiver = pairs[2 * row + 1];
    if (!std::isfinite(logits[row])) throw NotFinite{};
    if (std::min(sender, receiver) < 0 || std::max(sender, receiver) >= hits) throw BadIndex{};
    if (logits[row] >= cuts.component_threshold) ++start[static_cast<std::size_t>(sender) + 2];
  }
  for (std::size_t hit = 2; hit < start.size(); ++hit) start[hit] += start[hit - 1];
  accepted.edges.resize(static_cast<std::size_t>(start.back()));
  for (std::int64_t row = 0; row < count; ++row) {
    if (!(logits[row] >= cuts.component_threshold)) continue;
    const auto place = static_cast<std::size_t>(start[static_cast<std::size_t>(pairs[2 * row]) + 1]++);
    accepted.edges[place] = scored_edge(pairs[2 * row + 1], logits[row], cuts);
  }
  start.pop_back();
  accepted.shrink([](std::int32_t, Edge* first, Edge* last) { return merge_repeated(first, last); });
  return accepted;
}

}  // namespace hitfabric
