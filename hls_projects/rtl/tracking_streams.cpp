// Drives the AXI4-Stream ports of a model; the parts between @ are filled in for its ports.
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "Vmodel.h"
#include "verilated.h"

namespace {

constexpr int kInputs = @INPUTS@;
constexpr int kOutputs = @OUTPUTS@;
constexpr int kWords[kInputs + kOutputs] = {@WORDS@};
constexpr int kResetCycles = 3;
constexpr int kTailCycles = 50;
enum Failure : int64_t { kTooSlow = -1, kUnstable = -2, kTooMany = -3, kStopped = -4 };

template <typename Port>
auto put(Port& port, const uint32_t* data, int bits) -> decltype(port[0], void()) {
  for (int word = 0; word * 32 < bits; ++word)
    port[word] = bits - word * 32 >= 32 ? data[word] : data[word] & ((1u << (bits - word * 32)) - 1);
}
inline uint64_t narrow(const uint32_t* data, int bits) {
  uint64_t value = data[0];
  if (bits > 32) value |= static_cast<uint64_t>(data[1]) << 32;
  return bits < 64 ? value & ((uint64_t{1} << bits) - 1) : value;
}
inline void put(uint8_t& port, const uint32_t* data, int bits) { port = static_cast<uint8_t>(narrow(data, bits)); }
inline void put(uint16_t& port, const uint32_t* data, int bits) { port = static_cast<uint16_t>(narrow(data, bits)); }
inline void put(uint32_t& port, const uint32_t* data, int bits) { port = static_cast<uint32_t>(narrow(data, bits)); }
inline void put(uint64_t& port, const uint32_t* data, int bits) { port = narrow(data, bits); }

template <typename Port>
auto get(const Port& port, uint32_t* data, int words) -> decltype(port[0], void()) {
  for (int word = 0; word < words; ++word) data[word] = port[word];
}
inline void get(uint64_t port, uint32_t* data, int words) {
  data[0] = static_cast<uint32_t>(port);
  if (words > 1) data[1] = static_cast<uint32_t>(port >> 32);
}

void send(Vmodel& top, int stream, const uint32_t* data, bool last, bool valid) {
  switch (stream) {
    @SEND@
  }
}
bool ready(const Vmodel& top, int stream) {
  switch (stream) {
    @READY@
  }
  return false;
}
bool valid(const Vmodel& top, int stream) {
  switch (stream) {
    @VALID@
  }
  return false;
}
void take(Vmodel& top, int stream, bool ready) {
  switch (stream) {
    @TAKE@
  }
}
void read(const Vmodel& top, int stream, uint32_t* data, bool& last) {
  switch (stream) {
    @GET@
  }
}

struct Source {
  int64_t place = 0;
  bool valid = false;
};
struct Sink {
  int64_t place = 0;
  bool waits = false, last = false;
  std::vector<uint32_t> data, held;
};

}  // namespace

// Arrays by stream, the inputs first: number of beats; their data, tlast and cycle. Returns cycles or a Failure.
extern "C" __attribute__((visibility("default"))) int64_t run_streams(const int64_t* counts, uint32_t** data,
                                                                      uint8_t** last, int64_t** cycles, double stalls,
                                                                      uint64_t seed, int64_t limit) try {
  auto context = std::make_unique<VerilatedContext>();
  context->randReset(2);
  context->randSeed(static_cast<int>(seed % 0x7ffffffe) + 1);
  auto top = std::make_unique<Vmodel>(context.get());
  std::mt19937_64 random(seed);
  std::bernoulli_distribution stall(stalls);
  Source sources[kInputs];
  Sink sinks[kOutputs];
  for (int s = 0; s < kOutputs; ++s) sinks[s].data.resize(kWords[kInputs + s]), sinks[s].held = sinks[s].data;
  int64_t tail = 0;
  for (int64_t cycle = -kResetCycles; cycle < limit; ++cycle) {
    const bool running = cycle >= 0;
    top->aclk = 0;
    top->aresetn = running;
    for (int s = 0; s < kInputs; ++s) {
      Source& source = sources[s];
      if (running && !source.valid && source.place < counts[s]) source.valid = !stall(random);
      std::vector<uint32_t> noise(kWords[s]);
      for (auto& word : noise) word = static_cast<uint32_t>(random());  // what stands there without tvalid
      const bool given = source.valid;
      send(*top, s, given ? data[s] + source.place * kWords[s] : noise.data(),
           given ? last[s][source.place] != 0 : (random() & 1) != 0, given);
    }
    bool ready_now[kOutputs];
    for (int s = 0; s < kOutputs; ++s) take(*top, s, ready_now[s] = running && !stall(random));
    top->eval();
    bool done = true;
    for (int s = 0; running && s < kInputs; ++s) {
      Source& source = sources[s];
      if (source.valid && ready(*top, s)) {
        cycles[s][source.place++] = cycle;
        source.valid = false;
      }
      done = done && source.place == counts[s];
    }
    for (int s = 0; running && s < kOutputs; ++s) {
      Sink& sink = sinks[s];
      const int stream = kInputs + s;
      const bool offered = valid(*top, s);
      if (sink.waits && !offered) return kUnstable;
      if (offered) {
        bool final_beat = false;
        read(*top, s, sink.data.data(), final_beat);
        if (sink.waits && (sink.data != sink.held || final_beat != sink.last)) return kUnstable;
        sink.held = sink.data;
        sink.last = final_beat;
        sink.waits = !ready_now[s];
        if (ready_now[s]) {
          if (sink.place == counts[stream]) return kTooMany;
          std::memcpy(data[stream] + sink.place * kWords[stream], sink.data.data(), 4 * sink.data.size());
          last[stream][sink.place] = final_beat;
          cycles[stream][sink.place++] = cycle;
        }
      }
      done = done && sink.place == counts[stream];
    }
    top->aclk = 1;
    top->eval();
    if (done && ++tail > kTailCycles) return cycle + 1 - kTailCycles;
  }
  return kTooSlow;
} catch (const std::runtime_error&) {
  return kStopped;
}
