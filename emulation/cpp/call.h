// What the code of every instruction set shares: one call, and the program of a network.
#pragma once

#include <cstdint>
#include <type_traits>

#include "hitfabric_native.h"

namespace hitfabric {

constexpr int kRows = 64;  // of a block

// Edges in the order of one of their ends: those of node n are order[first[n]] to order[first[n + 1] - 1].
struct EdgesOfNodes {
  const std::int64_t* first;
  const std::int32_t* order;
};

struct Call {
  std::int64_t rows, nodes, edges;
  const void* const* inputs;
  float* const* outputs;
  std::int64_t* const* taps;
  std::int32_t* const* tables;         // tensors kept between phases
  const std::int32_t* const* ends;     // by edge index and column: node of each edge, at most `nodes`
  const EdgesOfNodes* edges_of_nodes;  // by edge index and column
  std::int64_t problem;                // 0, or row, input and status; atomic

  // Keeps the first problem reported; which of several, does not matter. Always inlined: a copy compiled for one
  // instruction set must not be linked into the code of another.
  __attribute__((always_inline)) void report(int status, int input, std::int64_t row) {
    std::int64_t none = 0;
    const std::int64_t found = row * 65536 + input * 256 + status;
    __atomic_compare_exchange_n(&problem, &none, found, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
};

enum Dimension : int { kRowsOfCall = 0, kNodesOfCall = 1, kEdgesOfCall = 2 };

// One pass over blocks of rows.
struct Phase {
  Dimension dimension;
  std::int64_t operations;  // per row, to judge whether threads pay
  void (*block)(Call& call, std::int32_t* work, std::int64_t start, int count);
};

// A tensor kept between phases: rows (one more than there are, holding zeros) or tiles.
struct Table {
  Dimension dimension;
  bool tiles;
  int dwords;
  std::int32_t zero;
};

// An edge index, and which of its columns are aggregated at.
struct EdgeIndex {
  int input;
  bool aggregated[2];
};

// The passes of a network for one instruction set.
struct Program {
  const Phase* phases;
  int phase_count;
  std::int64_t work_dwords;
};

struct Variant {
  const char* instructions;
  const Program* program;
};

// What the entry knows of a network.
struct Network {
  const Table* tables;
  int table_count;
  const EdgeIndex* indices;
  int index_count;
  const char* const* inputs;  // "name dimension features type"
  int input_count;
  const char* const* outputs;
  int output_count;
  const char* const* taps;
  int tap_count;
  std::int64_t maximal_edges;
  const Variant* variants;  // best first
  int variant_count;
};

extern const Network kNetwork;

}  // namespace hitfabric
