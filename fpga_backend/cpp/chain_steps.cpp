// From hits to scored edges in one call: the steps of `Chain.track` between NumPy's sines and the track builder, for a
// chain of native networks. It calls the functions that the steps in Python call, in their order, so that both give the
// same bits; what is out of the ordinary is left to Python.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <new>
#include <vector>

#include "hitfabric_native.h"
#include "pairs.h"

extern "C" {

// The compiled host stages (detector/cpp/graph_kernels.cpp).
struct HostStages {
  void* (*radius_open)(const float*, std::int64_t, std::int64_t, int);
  void (*radius_close)(void*);
  int (*radius_search)(void*, double, const float*, const double*, std::int64_t, int, std::int64_t*);
  int (*radius_edges)(void*, std::int64_t*, int);
  int (*pair_features)(const double*, const float*, std::int64_t, std::int64_t, const std::int64_t*, std::int64_t,
                       const double*, float*, int);
};

struct ChainNetwork {
  std::int32_t (*run)(hitfabric_call*);
  std::int64_t* const* taps;  // `tap_count` nulls: no integers are wanted
  const char* instructions;
  std::int64_t width;  // features of the output
  std::int32_t tap_count;
  std::int32_t threads;
  std::int32_t nodes, edges, edge_index;  // places of a graph network's inputs
};

struct ChainSettings {
  HostStages stages;
  ChainNetwork embedding, filter, interaction;
  const double* window;    // max_phi_slope and max_z0, or null
  const double* divisors;  // of pair features
  double radius;
  double radius_mm, radius_shift, height_mm, eta;  // of the ends of pairs
  std::int64_t max_edges;
  std::int64_t filter_rows;  // candidates whose features are in memory at a time
  float filter_threshold;
  std::int32_t search_threads;
  std::int32_t threads;
};

struct ChainHits {
  const float* features;  // [hits, 3] r (mm), phi (rad), z (mm)
  const double* cosine;   // of phi
  const double* sine;
  const double* eta;
  std::int64_t hits;
};

struct ChainSeconds {
  double embedding, radius_graph, filter, interaction_network;
  double networks;  // of these, in the networks
};
}

namespace {

using hitfabric::clipped;

constexpr std::int64_t kPairColumns = 12;
constexpr std::int64_t kTrackColumns = 6;
constexpr double kMillimetresPerMetre = 1000.0;

double Now() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

std::size_t Size(std::int64_t count) { return static_cast<std::size_t>(count); }

class Steps {
 public:
  Steps(const ChainSettings& settings, const ChainHits& hits, ChainSeconds* seconds)
      : settings_(settings), hits_(hits), seconds_(*seconds), last_(Now()) {}

  // Fills `edges` [edges, 2] and `scores`; false when a step failed, which Python repeats to say why.
  bool Run(std::vector<std::int64_t>* edges, std::vector<float>* scores) {
    if (!Embed()) return false;
    Lap(&seconds_.embedding);
    if (!Connect()) return false;
    Lap(&seconds_.radius_graph);
    if (!Select(edges)) return false;
    Lap(&seconds_.filter);
    if (!Score(*edges, scores)) return false;
    Lap(&seconds_.interaction_network);
    return true;
  }

 private:
  void Lap(double* stage) {
    const double now = Now();
    *stage = now - last_;
    last_ = now;
  }

  bool Call(const ChainNetwork& network, hitfabric_call call, const void* const* inputs, int count, float* output) {
    float* outputs[] = {output};
    call.inputs = inputs;
    call.outputs = outputs;
    call.taps = network.taps;
    call.input_count = count;
    call.output_count = 1;
    call.tap_count = network.tap_count;
    call.threads = network.threads;
    call.instructions = network.instructions;
    const double begin = Now();
    const bool done = network.run(&call) == HITFABRIC_OK;
    seconds_.networks += Now() - begin;
    return done;
  }

  bool CallRows(const ChainNetwork& network, std::int64_t rows, const float* input, float* output) {
    hitfabric_call call = {};
    call.rows = rows;
    const void* inputs[] = {input};
    return Call(network, call, inputs, 1, output);
  }

  const float* Hit(std::int64_t hit) const { return hits_.features + 3 * hit; }

  // As `embedding_features` of detector/features.py.
  bool Embed() {
    std::vector<float> rows(Size(6 * hits_.hits));
    float* row = rows.data();
    for (std::int64_t hit = 0; hit < hits_.hits; ++hit, row += 6) {
      const double r = Hit(hit)[0], z = Hit(hit)[2];
      row[0] = static_cast<float>(r / kMillimetresPerMetre);
      row[1] = static_cast<float>(hits_.cosine[hit]);
      row[2] = static_cast<float>(hits_.sine[hit]);
      row[3] = static_cast<float>(z / kMillimetresPerMetre);
      row[4] = static_cast<float>(hits_.eta[hit] / 4);
      row[5] = clipped(r / 50 - 2);
    }
    embedding_.resize(Size(hits_.hits * settings_.embedding.width));
    return CallRows(settings_.embedding, hits_.hits, rows.data(), embedding_.data());
  }

  bool Connect() {
    const HostStages& stages = settings_.stages;
    const std::unique_ptr<void, void (*)(void*)> search(
        stages.radius_open(embedding_.data(), hits_.hits, settings_.embedding.width, settings_.search_threads),
        stages.radius_close);
    std::int64_t sizes[2] = {};
    if (search == nullptr ||
        stages.radius_search(search.get(), settings_.radius, hits_.features, settings_.window, settings_.max_edges,
                             settings_.search_threads, sizes) != 0 ||
        sizes[0] > settings_.max_edges) {
      return false;
    }
    candidates_.resize(Size(2 * sizes[1]));
    return stages.radius_edges(search.get(), candidates_.data(), settings_.search_threads) == 0;
  }

  // As `PairColumns.of` of detector/pair_columns.py.
  void FillColumns() {
    columns_.resize(Size(4 * hits_.hits));
    ends_.resize(Size(3 * hits_.hits));
    double* column = columns_.data();
    float* end = ends_.data();
    for (std::int64_t hit = 0; hit < hits_.hits; ++hit, column += 4, end += 3) {
      std::copy_n(Hit(hit), 3, column);
      column[3] = hits_.eta[hit];
      end[0] = clipped(column[0] / settings_.radius_mm - settings_.radius_shift);
      end[1] = clipped(column[2] / settings_.height_mm);
      end[2] = clipped(column[3] / settings_.eta);
    }
  }

  bool PairRows(const std::int64_t* edges, std::int64_t count, std::int64_t ends, float* rows) const {
    return settings_.stages.pair_features(columns_.data(), ends_.data(), hits_.hits, ends, edges, count,
                                          settings_.divisors, rows, settings_.threads) == 0;
  }

  bool Select(std::vector<std::int64_t>* kept) {
    FillColumns();
    const auto count = static_cast<std::int64_t>(candidates_.size() / 2);
    const std::int64_t most = std::min(count, settings_.filter_rows);
    std::vector<float> rows(Size(most * kPairColumns)), logits(Size(most));
    for (std::int64_t start = 0; start < count; start += most) {
      const std::int64_t part = std::min(most, count - start);
      const std::int64_t* edges = candidates_.data() + 2 * start;
      if (!PairRows(edges, part, 3, rows.data()) || !CallRows(settings_.filter, part, rows.data(), logits.data())) {
        return false;
      }
      for (std::int64_t edge = 0; edge < part; ++edge) {
        if (logits[Size(edge)] >= settings_.filter_threshold)
          kept->insert(kept->end(), edges + 2 * edge, edges + 2 * edge + 2);
      }
    }
    return true;
  }

  // Hits without edges are left out, as no edge depends on them.
  bool Score(const std::vector<std::int64_t>& edges, std::vector<float>* scores) {
    const auto count = static_cast<std::int64_t>(edges.size() / 2);
    if (count == 0) return true;
    std::vector<std::int64_t> place(Size(hits_.hits), 0), compact(edges.size());
    for (const std::int64_t hit : edges) place[Size(hit)] = 1;
    std::vector<float> nodes;
    std::int64_t used = 0;
    for (std::int64_t hit = 0; hit < hits_.hits; ++hit) {
      if (place[Size(hit)] == 0) continue;
      place[Size(hit)] = used++;
      const float* position = Hit(hit);
      nodes.push_back(static_cast<float>(position[0] / kMillimetresPerMetre));
      nodes.push_back(static_cast<float>(position[1] / hitfabric::kPi));
      nodes.push_back(static_cast<float>(position[2] / kMillimetresPerMetre));
    }
    std::transform(edges.begin(), edges.end(), compact.begin(),
                   [&place](std::int64_t hit) { return place[Size(hit)]; });
    std::vector<float> rows(Size(count * kTrackColumns));
    if (!PairRows(edges.data(), count, 0, rows.data())) return false;
    const void* inputs[3] = {};
    inputs[settings_.interaction.nodes] = nodes.data();
    inputs[settings_.interaction.edges] = rows.data();
    inputs[settings_.interaction.edge_index] = compact.data();
    hitfabric_call call = {};
    call.nodes = used;
    call.edges = count;
    scores->resize(Size(count));
    return Call(settings_.interaction, call, inputs, 3, scores->data());
  }

  const ChainSettings& settings_;
  const ChainHits& hits_;
  ChainSeconds& seconds_;
  double last_;
  std::vector<float> embedding_, ends_;
  std::vector<double> columns_;
  std::vector<std::int64_t> candidates_;
};

struct Found {
  std::vector<std::int64_t> edges;  // [edges, 2]
  std::vector<float> scores;
};

}  // namespace

extern "C" {

// Computes; returns what `hitfabric_chain_take` gives, or null when a step failed or memory does not suffice.
__attribute__((visibility("default"))) void* hitfabric_chain_run(const ChainSettings* settings, const ChainHits* hits,
                                                                 ChainSeconds* seconds, std::int64_t* edges) {
  try {
    auto found = std::make_unique<Found>();
    *seconds = {};
    if (!Steps(*settings, *hits, seconds).Run(&found->edges, &found->scores)) return nullptr;
    *edges = static_cast<std::int64_t>(found->scores.size());
    return found.release();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

// Copies the edges, int64 [edges, 2], and their scores, float32 [edges], and frees them.
__attribute__((visibility("default"))) void hitfabric_chain_take(void* handle, std::int64_t* edges, float* scores) {
  const std::unique_ptr<Found> found(static_cast<Found*>(handle));
  std::copy(found->edges.begin(), found->edges.end(), edges);
  std::copy(found->scores.begin(), found->scores.end(), scores);
}
}
