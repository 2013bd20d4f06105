// Compiled track building on random graphs, as a program that sanitizers can watch: the order of the edges does not
// matter, labels are numbered by the lowest hit, tracks stay within components, and bad input has its status.

#include <algorithm>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "track_kernels.cpp"

namespace {

using Labels = std::vector<std::int64_t>;

struct Graph {
  std::int64_t hits;
  std::vector<std::int64_t> edges;
  std::vector<double> logits;

  std::int64_t count() const { return static_cast<std::int64_t>(logits.size()); }
};

// Edges lead from lower to higher hits, so that there is no cycle.
Graph make_graph(std::mt19937& generator) {
  Graph graph{std::uniform_int_distribution<std::int64_t>(0, 300)(generator), {}, {}};
  if (graph.hits < 2) return graph;
  std::uniform_int_distribution<std::int64_t> hit(0, graph.hits - 1);
  std::uniform_int_distribution<int> logit(-6, 6);
  const std::int64_t pairs = std::uniform_int_distribution<std::int64_t>(0, 3 * graph.hits)(generator);
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const auto [first, last] = std::minmax({hit(generator), hit(generator)});
    if (first == last) continue;
    graph.edges.insert(graph.edges.end(), {first, last});
    graph.logits.push_back(0.5 * logit(generator));
  }
  return graph;
}

Graph shuffled(const Graph& graph, std::mt19937& generator) {
  std::vector<std::size_t> order(graph.logits.size());
  for (std::size_t row = 0; row < order.size(); ++row) order[row] = row;
  std::shuffle(order.begin(), order.end(), generator);
  Graph other{graph.hits, {}, {}};
  for (const std::size_t row : order) {
    other.edges.insert(other.edges.end(), {graph.edges[2 * row], graph.edges[2 * row + 1]});
    other.logits.push_back(graph.logits[row]);
  }
  return other;
}

int walk(const Graph& graph, bool absorb, Labels& labels) {
  const double thresholds[3] = {-2.5, -1, 1};
  labels.assign(static_cast<std::size_t>(graph.hits), -7);
  return hitfabric_walk_tracks(graph.edges.data(), graph.logits.data(), graph.count(), graph.hits, thresholds, 3,
                               absorb ? 1 : 0, labels.data());
}

bool numbered_by_lowest_hit(const Labels& labels) {
  std::int64_t next = 0;
  for (const std::int64_t label : labels) {
    if (label < -1 || label > next) return false;
    if (label == next) ++next;
  }
  return true;
}

bool tracks_agree(const Graph& graph, std::mt19937& generator) {
  Labels all(static_cast<std::size_t>(graph.hits));
  if (hitfabric_connected_components(graph.edges.data(), nullptr, graph.count(), graph.hits, 1, all.data()) != 0) {
    return false;
  }
  for (const bool absorb : {true, false}) {
    Labels labels, again;
    if (walk(graph, absorb, labels) != 0 || walk(shuffled(graph, generator), absorb, again) != 0) return false;
    if (labels != again || !numbered_by_lowest_hit(labels)) return false;
    std::vector<std::int64_t> component(labels.size(), -1);
    for (std::size_t hit = 0; hit < labels.size(); ++hit) {
      if (labels[hit] < 0) continue;
      std::int64_t& there = component[static_cast<std::size_t>(labels[hit])];
      if (there >= 0 && there != all[hit]) return false;
      there = all[hit];
    }
  }
  return numbered_by_lowest_hit(all);
}

bool bad_input_is_refused(Graph graph) {
  if (graph.count() == 0) return true;
  Labels labels;
  Graph wrong = graph;
  wrong.edges.back() = graph.hits;
  if (walk(wrong, true, labels) != kBadIndex) return false;
  if (hitfabric_connected_components(wrong.edges.data(), nullptr, wrong.count(), wrong.hits, 1, labels.data()) !=
      kBadIndex) {
    return false;
  }
  wrong = graph;
  wrong.logits.front() = std::numeric_limits<double>::quiet_NaN();
  if (walk(wrong, true, labels) != kNotFinite) return false;
  graph.edges.insert(graph.edges.end(), {graph.edges[1], graph.edges[0]});
  graph.logits.front() = 9;
  graph.logits.push_back(9);
  return walk(graph, true, labels) == kCycle;
}

}  // namespace

int main() {
  std::mt19937 generator(11);
  std::int64_t edges = 0;
  for (int number = 0; number < 400; ++number) {
    const Graph graph = make_graph(generator);
    edges += graph.count();
    if (!tracks_agree(graph, generator) || !bad_input_is_refused(graph)) {
      std::printf("graph %d is wrong\n", number);
      return 1;
    }
  }
  std::printf("same tracks in any order of the edges in %lld edges\n", static_cast<long long>(edges));
  return 0;
}
