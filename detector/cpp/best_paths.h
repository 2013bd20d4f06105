// Best paths of directed acyclic graphs, taken one after the other: more hits first, then the larger sum of weights,
// then the lexicographically lower sequence of hits. See detector/longest_paths.py.
//
// Each hit knows the best path that starts at it. Taking a path changes only those that led through its hits; they are
// found again against the direction of the edges, the last in topological order first.

#pragma once

#include <cstddef>
#include <cstdint>
#include <queue>
#include <tuple>
#include <vector>

#include "components.h"
#include "scored_edges.h"

namespace hitfabric {

struct Cycle {};

class BestPaths {
 public:
  // The edges stay the caller's; those of each sender are in the order in which a walk prefers them.
  explicit BestPaths(const ScoredEdges& ahead)
      : track(static_cast<std::size_t>(ahead.hits()), kNone),
        ahead_(ahead),
        behind_start_(static_cast<std::size_t>(ahead.hits()) + 2, 0),
        behind_(ahead.edges.size()),
        walked_(ahead.edges.size(), 0),
        best_(static_cast<std::size_t>(ahead.hits())) {
    for (const Edge& edge : ahead.edges) ++behind_start_[edge.receiver + 2];
    for (std::size_t hit = 2; hit < behind_start_.size(); ++hit) behind_start_[hit] += behind_start_[hit - 1];
    for (std::int32_t sender = 0; sender < ahead.hits(); ++sender) {
      for (const Edge* edge = ahead.begin(sender); edge != ahead.end(sender); ++edge) {
        behind_[behind_start_[edge->receiver + 1]++] = sender;
      }
    }
  }

  // One sweep over the hits of a component: all best paths of at least `minimum_hits` hits get the numbers from `next`
  // on, which moves on. Hits on a track are taken out of `hits`. Returns whether there was a path.
  bool sweep(std::vector<std::int32_t>& hits, std::int64_t minimum_hits, std::int32_t& next) {
    const std::int32_t first = next;
    drop_taken(hits);
    choose_edges(hits);
    order_hits(hits);
    minimum_hits_ = minimum_hits;
    for (std::size_t place = order_.size(); place-- > 0;) update(order_[place]);
    for (const std::int32_t hit : order_) offer(hit);
    for (std::int32_t start = best_start(); start != kNone; start = best_start()) take(start, next++);
    drop_taken(hits);
    return next != first;
  }

  // Number of the track of each hit; kNone where it has none.
  std::vector<std::int32_t> track;

 private:
  // The best path that starts at a hit.
  struct Best {
    std::int64_t total;
    std::int32_t hits;
    std::int32_t next;
    std::int32_t waiting;  // edges walked inwards from hits that are left
    std::int32_t place;    // in topological order
  };

  // More hits, larger sum, lower hit (its negative).
  using Start = std::tuple<std::int32_t, std::int64_t, std::int32_t>;

  bool is_free(std::int32_t hit) const { return track[hit] == kNone; }

  // Calls found(receiver, weight) for the edges walked from a hit to hits that are left.
  template <typename Found>
  void for_ahead(std::int32_t hit, const Found& found) const {
    for (std::int32_t edge = ahead_.start[hit]; edge < ahead_.start[hit + 1]; ++edge) {
      const Edge& there = ahead_.edges[edge];
      if (walked_[edge] != 0 && is_free(there.receiver)) found(there.receiver, there.weight);
    }
  }

  void drop_taken(std::vector<std::int32_t>& hits) const {
    std::size_t kept = 0;
    for (const std::int32_t hit : hits) {
      if (is_free(hit)) hits[kept++] = hit;
    }
    hits.resize(kept);
  }

  // Walks the best edge of each hit to a hit without track, and those that are certain.
  void choose_edges(const std::vector<std::int32_t>& hits) {
    for (const std::int32_t hit : hits) best_[hit] = {0, 1, kNone, 0, 0};
    for (const std::int32_t hit : hits) {
      bool first = true;
      for (std::int32_t edge = ahead_.start[hit]; edge < ahead_.start[hit + 1]; ++edge) {
        const Edge& there = ahead_.edges[edge];
        const bool open = is_free(there.receiver);
        walked_[edge] = open && (first || there.certain) ? 1 : 0;
        best_[there.receiver].waiting += walked_[edge];
        first = first && !open;
      }
    }
  }

  void order_hits(const std::vector<std::int32_t>& hits) {
    order_.clear();
    for (const std::int32_t hit : hits) {
      if (best_[hit].waiting == 0) order_.push_back(hit);
    }
    for (std::size_t place = 0; place < order_.size(); ++place) {
      best_[order_[place]].place = static_cast<std::int32_t>(place);
      for_ahead(order_[place], [&](std::int32_t receiver, std::int32_t) {
        if (--best_[receiver].waiting == 0) order_.push_back(receiver);
      });
    }
    if (order_.size() != hits.size()) throw Cycle{};
    for (const std::int32_t hit : hits) {
      for_ahead(hit, [&](std::int32_t receiver, std::int32_t) { ++best_[receiver].waiting; });
    }
  }

  // Finds the best path from a hit anew; returns whether its length or sum has changed.
  bool update(std::int32_t hit) {
    Best& best = best_[hit];
    const std::int32_t hits = best.hits;
    const std::int64_t total = best.total;
    best.hits = 1;
    best.total = 0;
    best.next = kNone;
    for_ahead(hit, [&](std::int32_t receiver, std::int32_t weight) {
      const Best& there = best_[receiver];
      const Start found{there.hits + 1, there.total + weight, -receiver};
      if (best.next != kNone && found < Start{best.hits, best.total, -best.next}) return;
      best.hits = there.hits + 1;
      best.total = there.total + weight;
      best.next = receiver;
    });
    return best.hits != hits || best.total != total;
  }

  // The best path of all starts at a hit without edges inwards.
  void offer(std::int32_t hit) {
    const Best& best = best_[hit];
    if (best.waiting == 0 && best.hits >= minimum_hits_) starts_.emplace(best.hits, best.total, -hit);
  }

  // Takes the best start off the queue; offers that no longer hold are passed over.
  std::int32_t best_start() {
    while (!starts_.empty()) {
      const auto [hits, total, negative] = starts_.top();
      starts_.pop();
      const Best& best = best_[-negative];
      if (is_free(-negative) && best.hits == hits && best.total == total) return -negative;
    }
    return kNone;
  }

  void take(std::int32_t start, std::int32_t number) {
    for (std::int32_t hit = start; hit != kNone; hit = best_[hit].next) track[hit] = number;
    for (std::int32_t hit = start; hit != kNone; hit = best_[hit].next) {
      for_ahead(hit, [&](std::int32_t receiver, std::int32_t) {
        --best_[receiver].waiting;
        offer(receiver);
      });
      queue_behind(hit);
    }
    // The last in topological order first, so that each is found anew once, when all behind it are settled.
    while (!changed_.empty()) {
      const std::int32_t hit = order_[changed_.top()];
      changed_.pop();
      if (!update(hit)) continue;
      offer(hit);
      queue_behind(hit);
    }
  }

  // Queues the hits whose best path leads to this one next.
  void queue_behind(std::int32_t hit) {
    for (std::int32_t edge = behind_start_[hit]; edge < behind_start_[hit + 1]; ++edge) {
      const std::int32_t sender = behind_[edge];
      if (is_free(sender) && best_[sender].next == hit) changed_.push(best_[sender].place);
    }
  }

  const ScoredEdges& ahead_;
  std::vector<std::int32_t> behind_start_;
  std::vector<std::int32_t> behind_;
  std::vector<std::uint8_t> walked_;
  std::vector<Best> best_;
  std::vector<std::int32_t> order_;
  std::priority_queue<Start> starts_;
  std::priority_queue<std::int32_t> changed_;
  std::int64_t minimum_hits_ = 2;
};

}  // namespace hitfabric
