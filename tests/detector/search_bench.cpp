// The compiled host stages against all pairs, with several threads, as a program that sanitizers can watch.

#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "graph_kernels.cpp"

namespace {

using Edges = std::vector<std::int64_t>;

struct Cloud {
  std::int64_t hits;
  std::int64_t dimensions;
  std::vector<float> points;
  std::vector<float> features;
};

Cloud make_cloud(std::mt19937& generator) {
  Cloud cloud;
  cloud.hits = std::uniform_int_distribution<std::int64_t>(0, 700)(generator);
  cloud.dimensions = std::uniform_int_distribution<std::int64_t>(1, 16)(generator);
  std::uniform_int_distribution<int> step(-6, 6);
  for (std::int64_t i = 0; i < cloud.hits * cloud.dimensions; ++i) {
    cloud.points.push_back(0.25F * static_cast<float>(step(generator)));
  }
  std::uniform_real_distribution<float> position(-3, 3);
  for (std::int64_t i = 0; i < 3 * cloud.hits; ++i) cloud.features.push_back(position(generator));
  return cloud;
}

Edges all_pairs(const Cloud& cloud, double radius, const double* window) {
  Edges edges;
  const float* const x = cloud.features.data();
  const auto squared = [](const float* hit) { return double{hit[0]} * hit[0] + double{hit[2]} * hit[2]; };
  for (std::int64_t sender = 0; sender < cloud.hits; ++sender) {
    for (std::int64_t receiver = 0; receiver < cloud.hits; ++receiver) {
      const double inner = squared(x + 3 * sender), outer = squared(x + 3 * receiver);
      if (sender == receiver || inner > outer || (inner == outer && sender > receiver)) continue;
      double total = 0;
      for (std::int64_t d = 0; d < cloud.dimensions; ++d) {
        const double gap = double{cloud.points[static_cast<std::size_t>(sender * cloud.dimensions + d)]} -
                           double{cloud.points[static_cast<std::size_t>(receiver * cloud.dimensions + d)]};
        total += gap * gap;
      }
      const hitfabric::Window cuts{window[0], window[1]};
      if (total > radius * radius || !cuts.keeps(hitfabric::pair_geometry(x + 3 * sender, x + 3 * receiver))) continue;
      edges.push_back(sender);
      edges.push_back(receiver);
    }
  }
  return edges;
}

Edges compiled(const Cloud& cloud, double radius, const double* window, int threads) {
  const std::unique_ptr<void, void (*)(void*)> search(
      hitfabric_radius_open(cloud.points.data(), cloud.hits, cloud.dimensions, threads), hitfabric_radius_close);
  std::int64_t sizes[2] = {0, 0};
  std::int64_t neighbours = 0;
  Edges edges;
  if (hitfabric_radius_count(search.get(), radius, cloud.points.data(), cloud.hits, &neighbours) != 0) return {-1};
  if (hitfabric_radius_search(search.get(), radius, cloud.features.data(), window, 1 << 30, threads, sizes) != 0) {
    return {-2};
  }
  if (neighbours != 2 * sizes[0] + cloud.hits) return {-3};
  edges.resize(static_cast<std::size_t>(2 * sizes[1]));
  if (hitfabric_radius_edges(search.get(), edges.data(), threads) != 0) return {-4};
  return edges;
}

// Whether the kernel of the features agrees with itself on one thread, and refuses a wrong edge.
bool features_agree(const Cloud& cloud, Edges edges) {
  const std::vector<double> hits(static_cast<std::size_t>(4 * cloud.hits), 1.5);
  const std::vector<float> ends(static_cast<std::size_t>(3 * cloud.hits), 0.5F);
  const double divisors[6] = {1, 2, 3, 4, 5, 6};
  const auto count = static_cast<std::int64_t>(edges.size() / 2);
  const auto run = [&](int threads, std::vector<float>& rows) {
    rows.assign(static_cast<std::size_t>(12 * count), -1.0F);
    return hitfabric_pair_features(hits.data(), ends.data(), cloud.hits, 3, edges.data(), count, divisors, rows.data(),
                                   threads);
  };
  std::vector<float> one, three;
  if (run(1, one) != 0 || run(3, three) != 0 || one != three) return false;
  if (count == 0) return true;
  edges.back() = cloud.hits;
  return run(3, three) == kBadIndex;
}

}  // namespace

int main() {
  std::mt19937 generator(7);
  std::size_t edges = 0;
  const double window[2] = {4.0, 5.0};
  for (int cloud_number = 0; cloud_number < 40; ++cloud_number) {
    const Cloud cloud = make_cloud(generator);
    const double radius = 0.25 * std::uniform_int_distribution<int>(0, 12)(generator);
    const Edges wanted = all_pairs(cloud, radius, window);
    for (const int threads : {1, 2, 4}) {
      if (compiled(cloud, radius, window, threads) != wanted || !features_agree(cloud, wanted)) {
        std::printf("cloud %d, %d threads: other edges\n", cloud_number, threads);
        return 1;
      }
    }
    edges += wanted.size() / 2;
  }
  std::printf("same edges as all pairs in 40 clouds, %zu edges\n", edges);
  return edges > 1000 ? 0 : 2;
}
