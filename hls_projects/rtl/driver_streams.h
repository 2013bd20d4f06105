// Drives a design with AXI4-Stream ports: beats in, beats out, with random gaps and back-pressure.
#ifndef HITFABRIC_DRIVER_STREAMS_H
#define HITFABRIC_DRIVER_STREAMS_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "Vmodel.h"

namespace hitfabric {

// The signals of one stream in the model. Verilator keeps a port as an integer of 8, 16, 32 or 64 bits, or as an array
// of 32-bit words: in a little-endian memory the same bytes in the same order.
struct Stream {
  std::string name;
  std::uint8_t* valid;
  std::uint8_t* ready;
  std::uint8_t* last;  // null where the stream has none
  void* data;
  std::size_t bytes;     // of a beat
  std::uint8_t highest;  // mask of a beat's highest byte
};

struct Ports {
  std::uint8_t* clock;
  std::uint8_t* reset;  // active low
  std::vector<Stream> inputs;
  std::vector<Stream> outputs;
};

template <typename Port>
Stream stream_of(const char* name, std::uint8_t& valid, std::uint8_t& ready, std::uint8_t* last, Port& data,
                 std::size_t bits) {
  const std::size_t bytes = (bits + 7) / 8;
  const auto highest = static_cast<std::uint8_t>(0xffU >> (bytes * 8 - bits));
  return Stream{name, &valid, &ready, last, &data, bytes, highest};
}

// Written for each design: which port is what.
Ports ports_of(Vmodel& model);

}  // namespace hitfabric

// What goes in and comes out, shared with Python. Beats are whole bytes, the lowest first; beats of graph 0 come first.
extern "C" {

struct HitfabricInput {
  const std::uint8_t* data;
  const std::uint8_t* last;   // null where the stream has none
  const std::int64_t* graph;  // of each beat
  std::int64_t* cycle;        // in which it was taken; written
  std::int64_t count;
};

struct HitfabricOutput {
  std::uint8_t* data;         // written
  std::uint8_t* last;         // written; null where the stream has none
  const std::int64_t* graph;  // of each beat expected
  std::int64_t* cycle;        // in which it was given; written
  std::int64_t count;
};

struct HitfabricRun {
  const HitfabricInput* inputs;
  const HitfabricOutput* outputs;
  double stalls;            // probability of a gap or of back-pressure in a cycle, on each stream
  std::uint64_t seed;       // of these
  std::int64_t window;      // graphs under way at a time; 0 for as many as the design takes
  std::int64_t idle_limit;  // cycles without a beat on any stream before the design is said to hang
  std::int64_t settle;      // cycles after the last beat in which no other may come
};
}

#endif  // HITFABRIC_DRIVER_STREAMS_H
