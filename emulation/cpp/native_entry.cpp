// Entry of a compiled network: checks, memory, work for threads, and the choice of the instruction set. Compiled once,
// for the oldest processor, and linked with the generated passes of a network.
#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "call.h"
#include "call_threads.h"
#include "processor.h"

namespace hitfabric {
namespace {

constexpr std::int64_t kBehind = 16 * kRows;             // dwords that matrices may reach beyond a tile
constexpr std::int64_t kOperationsOfThread = 8'000'000;  // below, starting a thread costs more than it saves
constexpr int kBlocksTaken = 4;
constexpr std::int64_t kIndexBlock = 16384;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<std::int32_t, Free>;

Memory allocate(std::int64_t dwords) {
  constexpr std::int64_t kAlignment = 64;
  const auto bytes = (dwords * 4 + kAlignment - 1) / kAlignment * kAlignment + kAlignment;
  void* memory = std::aligned_alloc(kAlignment, static_cast<std::size_t>(bytes));
  if (memory == nullptr) throw std::bad_alloc();
  return Memory(static_cast<std::int32_t*>(memory));
}

// Memory of a call that all its threads share.
struct Shared {
  std::vector<Memory> memory;
  std::vector<std::int32_t*> tables;
  std::vector<std::int32_t*> ends;
  std::vector<std::vector<std::int64_t>> first, next;
  std::vector<std::int32_t*> order;
  std::vector<EdgesOfNodes> edges_of_nodes;

  std::int32_t* keep(std::int64_t dwords) {
    memory.push_back(allocate(dwords));
    return memory.back().get();
  }
};

std::int64_t size_of(const Call& call, Dimension dimension) {
  return dimension == kRowsOfCall ? call.rows : dimension == kNodesOfCall ? call.nodes : call.edges;
}

void prepare(Call& call, Shared& shared) {
  for (int k = 0; k < kNetwork.table_count; ++k) {
    const Table& table = kNetwork.tables[k];
    const std::int64_t size = size_of(call, table.dimension);
    const std::int64_t rows = table.tiles ? (size + kRows - 1) / kRows * kRows : size + 1;
    std::int32_t* memory = shared.keep(rows * table.dwords + (table.tiles ? kBehind : 0));
    if (!table.tiles) std::fill_n(memory + size * table.dwords, table.dwords, table.zero);
    shared.tables.push_back(memory);
  }
  for (int k = 0; k < kNetwork.index_count; ++k) {
    for (const bool aggregated : kNetwork.indices[k].aggregated) {
      shared.ends.push_back(shared.keep(call.edges));
      shared.first.emplace_back(aggregated ? static_cast<std::size_t>(call.nodes) + 2 : 0);
      shared.next.emplace_back(shared.first.back().size());
      shared.order.push_back(aggregated ? shared.keep(call.edges) : nullptr);
      shared.edges_of_nodes.push_back({shared.first.back().data(), shared.order.back()});
    }
  }
  call.tables = shared.tables.data();
  call.ends = shared.ends.data();
  call.edges_of_nodes = shared.edges_of_nodes.data();
}

// Splits the columns of an edge index, padding becoming node number `nodes`.
void split_ends(Call& call, const Shared& shared, int number, std::int64_t start, std::int64_t count) {
  const int input = kNetwork.indices[number].input;
  const auto* index = static_cast<const std::int64_t*>(call.inputs[input]);
  for (std::int64_t edge = start; edge < start + count; ++edge) {
    for (int column = 0; column < 2; ++column) {
      const std::int64_t node = index[2 * edge + column];
      if (node < 0) call.report(HITFABRIC_NEGATIVE_INDEX, input, edge);
      shared.ends[2 * number + column][edge] =
          static_cast<std::int32_t>(node < 0 || node > call.nodes ? call.nodes : node);
    }
  }
}

// Counting sort of the edges by one of their ends; edges of one node stay in order.
void sort_edges(const Call& call, Shared& shared, std::size_t column) {
  std::vector<std::int64_t>& first = shared.first[column];
  if (first.empty()) return;
  const std::int32_t* ends = shared.ends[column];
  for (std::int64_t edge = 0; edge < call.edges; ++edge) ++first[ends[edge] + 1];
  for (std::size_t node = 1; node < first.size(); ++node) first[node] += first[node - 1];
  std::vector<std::int64_t>& next = shared.next[column];
  std::copy(first.begin(), first.end(), next.begin());
  for (std::int64_t edge = 0; edge < call.edges; ++edge) {
    shared.order[column][next[ends[edge]]++] = static_cast<std::int32_t>(edge);
  }
}

// Work that threads take piece by piece.
class Run {
 public:
  Run(const Program& program, Call& call, Shared& shared, int threads)
      : program_(program), call_(call), shared_(shared) {
    for (int k = 0; k < threads; ++k) work_.push_back(allocate(program.work_dwords + kBehind));
    if (threads == 1) return;
    for (int number = 0; number < kNetwork.index_count; ++number) stages_.emplace_back(call.edges);
    stages_.emplace_back(2 * kNetwork.index_count);
    for (int k = 0; k < program.phase_count; ++k) stages_.emplace_back(size_of(call, program.phases[k].dimension));
  }

  void all() {
    std::deque<Helper> others;
    for (std::size_t k = 1; k < work_.size(); ++k) {
      others.emplace_back([this, k] { compute(work_[k].get()); });
      if (!others.back().begun()) break;  // no more threads to be had: those there do the work
    }
    compute(work_[0].get());
  }

 private:
  void compute(std::int32_t* work) {
    std::size_t stage = 0;
    for (int number = 0; number < kNetwork.index_count; ++number) {
      share(stage++, call_.edges, kIndexBlock,
            [&](std::int64_t start, std::int64_t count) { split_ends(call_, shared_, number, start, count); });
    }
    share(stage++, 2 * kNetwork.index_count, 1,
          [&](std::int64_t column, std::int64_t) { sort_edges(call_, shared_, static_cast<std::size_t>(column)); });
    for (int k = 0; k < program_.phase_count; ++k) {
      const Phase& phase = program_.phases[k];
      share(stage++, size_of(call_, phase.dimension), kBlocksTaken * kRows, [&](std::int64_t at, std::int64_t count) {
        for (std::int64_t start = at; start < at + count; start += kRows) {
          phase.block(call_, work, start, static_cast<int>(std::min<std::int64_t>(kRows, at + count - start)));
        }
      });
    }
  }

  // Takes pieces until none are left, and waits until the others have finished theirs. After a problem nothing more is
  // computed. A single thread does without the counting.
  template <class Work>
  void share(std::size_t stage, std::int64_t total, std::int64_t together, const Work& work) {
    if (stages_.empty()) {
      for (std::int64_t start = 0; start < total && !failed(); start += together) {
        work(start, std::min(together, total - start));
      }
      return;
    }
    Pieces& pieces = stages_[stage];
    for (std::int64_t start; (start = pieces.take(together)) < total;) {
      const std::int64_t count = std::min(together, total - start);
      if (!failed()) work(start, count);
      pieces.finish(count);
    }
    pieces.wait();
  }

  bool failed() const { return __atomic_load_n(&call_.problem, __ATOMIC_RELAXED) != 0; }

  const Program& program_;
  Call& call_;
  Shared& shared_;
  std::deque<Pieces> stages_;
  std::vector<Memory> work_;
};

int useful_threads(const Program& program, const Call& call, int most) {
  std::int64_t operations = call.edges * 16;
  for (int k = 0; k < program.phase_count; ++k) {
    operations += program.phases[k].operations * size_of(call, program.phases[k].dimension);
  }
  const std::int64_t useful = operations / kOperationsOfThread;
  return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>(most, useful)));
}

const Program* choose(const char* instructions) {
  for (int k = 0; k < kNetwork.variant_count; ++k) {
    const Variant& variant = kNetwork.variants[k];
    const bool wanted = instructions == nullptr || std::strcmp(instructions, variant.instructions) == 0;
    if (wanted && in_processor(variant.instructions)) return variant.program;
  }
  return nullptr;
}

int run(hitfabric_call& asked) {
  const Program* program = choose(asked.instructions);
  if (program == nullptr) return HITFABRIC_NO_INSTRUCTIONS;
  if (asked.edges > kNetwork.maximal_edges) return HITFABRIC_TOO_MANY_EDGES;
  Call call{asked.rows, asked.nodes, asked.edges, asked.inputs, asked.outputs,
            asked.taps, nullptr,     nullptr,     nullptr,      0};
  Shared shared;
  prepare(call, shared);
  Run(*program, call, shared, useful_threads(*program, call, std::max(1, asked.threads))).all();
  if (call.problem == 0) return HITFABRIC_OK;
  asked.bad_input = static_cast<std::int32_t>(call.problem / 256 % 256);
  asked.bad_row = call.problem / 65536;
  return static_cast<int>(call.problem % 256);
}

bool valid(const hitfabric_call& call) {
  for (const std::int64_t size : {call.rows, call.nodes, call.edges}) {
    if (size < 0 || size >= INT_MAX) return false;
  }
  return call.input_count == kNetwork.input_count && call.output_count == kNetwork.output_count &&
         call.tap_count == kNetwork.tap_count && call.inputs != nullptr && call.outputs != nullptr &&
         call.taps != nullptr;
}

const char* item(const char* const* list, int count, std::int32_t k) { return k >= 0 && k < count ? list[k] : nullptr; }

}  // namespace
}  // namespace hitfabric

using namespace hitfabric;

#define HITFABRIC_EXPORT extern "C" __attribute__((visibility("default")))

HITFABRIC_EXPORT std::int32_t hitfabric_abi_version() { return HITFABRIC_ABI_VERSION; }

HITFABRIC_EXPORT void hitfabric_lengths(std::int32_t* inputs, std::int32_t* outputs, std::int32_t* taps) {
  *inputs = kNetwork.input_count;
  *outputs = kNetwork.output_count;
  *taps = kNetwork.tap_count;
}

HITFABRIC_EXPORT const char* hitfabric_input(std::int32_t k) { return item(kNetwork.inputs, kNetwork.input_count, k); }

HITFABRIC_EXPORT const char* hitfabric_output(std::int32_t k) {
  return item(kNetwork.outputs, kNetwork.output_count, k);
}

HITFABRIC_EXPORT const char* hitfabric_tap(std::int32_t k) { return item(kNetwork.taps, kNetwork.tap_count, k); }

HITFABRIC_EXPORT std::int64_t hitfabric_maximal_edges() { return kNetwork.maximal_edges; }

HITFABRIC_EXPORT const char* hitfabric_instructions() {
  static const std::string names = [] {
    std::string joined;
    for (int k = 0; k < kNetwork.variant_count; ++k) {
      const char* name = kNetwork.variants[k].instructions;
      if (in_processor(name)) joined += (joined.empty() ? "" : " ") + std::string(name);
    }
    return joined;
  }();
  return names.c_str();
}

HITFABRIC_EXPORT std::int32_t hitfabric_run(hitfabric_call* call) {
  try {
    return valid(*call) ? run(*call) : HITFABRIC_BAD_SIZES;
  } catch (const std::exception&) {
    return HITFABRIC_OUT_OF_MEMORY;
  }
}

HITFABRIC_EXPORT const char* hitfabric_message(std::int32_t status) {
  switch (status) {
    case HITFABRIC_OK:
      return "computed";
    case HITFABRIC_OUT_OF_MEMORY:
      return "out of memory";
    case HITFABRIC_BAD_SIZES:
      return "a size is negative or too large, or the arguments are not those of the network";
    case HITFABRIC_NOT_FINITE:
      return "an input feature is NaN or infinite";
    case HITFABRIC_NEGATIVE_INDEX:
      return "an edge index is negative";
    case HITFABRIC_TOO_MANY_EDGES:
      return "more edges than the network is exact for";
    case HITFABRIC_NO_INSTRUCTIONS:
      return "no code for this processor";
    default:
      return "unknown status";
  }
}
