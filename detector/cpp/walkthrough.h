// The walkthrough: tracks are simple components and the best paths through the others. See detector/walkthrough.py.
//
// Nothing crosses the border of a component, so that the sweeps and the absorption go component by component.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absorption.h"
#include "best_paths.h"
#include "components.h"
#include "scored_edges.h"

namespace hitfabric {

// What is known of the component of each hit, by its lowest hit.
struct Shape {
  std::int32_t hits = 0;
  std::int32_t edges = 0;
  bool branches = false;  // a hit has two edges inwards or two outwards
};

// Lowest hit of the component of each hit.
inline std::vector<std::int32_t> lowest_hits(const ScoredEdges& accepted) {
  Components components(accepted.hits());
  for (std::int32_t sender = 0; sender < accepted.hits(); ++sender) {
    for (const Edge* edge = accepted.begin(sender); edge != accepted.end(sender); ++edge) {
      components.join(sender, edge->receiver);
    }
  }
  std::vector<std::int32_t> lowest(static_cast<std::size_t>(accepted.hits()));
  for (std::int32_t hit = 0; hit < accepted.hits(); ++hit) lowest[hit] = components.lowest(hit);
  return lowest;
}

// Throws Cycle if a component that does not branch is closed.
inline std::vector<Shape> component_shapes(const ScoredEdges& accepted, const std::vector<std::int32_t>& lowest) {
  std::vector<Shape> shapes(lowest.size());
  std::vector<std::int32_t> inwards(lowest.size(), 0);
  for (const Edge& edge : accepted.edges) ++inwards[edge.receiver];
  for (std::int32_t hit = 0; hit < accepted.hits(); ++hit) {
    const auto outwards = static_cast<std::int32_t>(accepted.end(hit) - accepted.begin(hit));
    Shape& shape = shapes[lowest[hit]];
    ++shape.hits;
    shape.edges += outwards;
    shape.branches = shape.branches || std::max(outwards, inwards[hit]) > 1;
  }
  for (const Shape& shape : shapes) {
    if (!shape.branches && shape.hits > 0 && shape.edges >= shape.hits) throw Cycle{};
  }
  return shapes;
}

// Hits of the components that branch, component by component, each with its lowest hit first.
inline std::vector<std::int32_t> branching_hits(const std::vector<std::int32_t>& lowest,
                                                const std::vector<Shape>& shapes) {
  std::vector<std::int32_t> place(lowest.size());
  std::int32_t end = 0;
  for (std::size_t hit = 0; hit < lowest.size(); ++hit) {
    place[hit] = end;
    if (shapes[hit].branches) end += shapes[hit].hits;
  }
  std::vector<std::int32_t> hits(static_cast<std::size_t>(end));
  for (std::size_t hit = 0; hit < lowest.size(); ++hit) {
    if (shapes[lowest[hit]].branches) hits[place[lowest[hit]]++] = static_cast<std::int32_t>(hit);
  }
  return hits;
}

// Leaves the edges a walk may follow in components that branch; those of one sender the best first.
inline void keep_followed(ScoredEdges& edges, const std::vector<std::int32_t>& lowest,
                          const std::vector<Shape>& shapes) {
  edges.shrink([&](std::int32_t sender, Edge* first, Edge* last) {
    if (!shapes[lowest[sender]].branches) return first;
    last = std::remove_if(first, last, [](const Edge& edge) { return !edge.follow; });
    std::sort(first, last, [](const Edge& a, const Edge& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.receiver < b.receiver;
    });
    return last;
  });
}

// Writes the labels int64 [hits] of edges int64 [count, 2] with logits [count].
inline void walk_tracks(const std::int64_t* pairs, const double* logits, std::int64_t count, std::int32_t hits,
                        const WalkCuts& cuts, std::int64_t* labels) {
  ScoredEdges edges = accepted_edges(pairs, logits, count, hits, cuts);
  const std::vector<std::int32_t> lowest = lowest_hits(edges);
  const std::vector<Shape> shapes = component_shapes(edges, lowest);
  const std::vector<std::int32_t> branching = branching_hits(lowest, shapes);
  keep_followed(edges, lowest, shapes);
  BestPaths paths(edges);
  Absorption absorption(edges);
  std::int32_t next = 0;
  std::vector<std::int32_t> component, left;
  for (auto first = branching.cbegin(); first != branching.cend();) {
    const auto last = first + shapes[*first].hits;
    component.assign(first, last);
    left = component;
    const std::int32_t first_track = next;
    while (paths.sweep(left, cuts.minimum_hits, next)) continue;
    if (cuts.absorb) {
      while (paths.sweep(left, 2, next)) continue;
      absorption.absorb(component, paths.track, first_track, next);
    }
    first = last;
  }
  // A simple component takes the next free number.
  std::vector<std::int32_t> number(lowest.size(), kNone);
  for (std::size_t hit = 0; hit < lowest.size(); ++hit) {
    if (shapes[lowest[hit]].branches) continue;
    if (number[lowest[hit]] == kNone) number[lowest[hit]] = next++;
    paths.track[hit] = number[lowest[hit]];
  }
  number_tracks(paths.track, cuts.minimum_hits, labels);
}

}  // namespace hitfabric
