// The two ends of streams: sources that offer beats, and sinks that take them and hold the design to the protocol.
#ifndef HITFABRIC_DRIVER_ENDS_H
#define HITFABRIC_DRIVER_ENDS_H

#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "driver_streams.h"

namespace hitfabric {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ports are copied as bytes");

constexpr std::uint64_t kLongestPause = 256;  // cycles
constexpr double kPauses = 1.0 / 256;         // pauses that begin, per short stall

// SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31);
  }
  bool happens(double probability) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability; }

 private:
  std::uint64_t state_;
};

// Stalls of one stream: single cycles, and now and then a pause long enough to fill or drain every buffer.
class Stalls {
 public:
  Stalls(double probability, std::uint64_t seed) : probability_(probability), random_(seed) {}
  bool now() {
    if (probability_ <= 0) return false;
    if (pause_ > 0) {
      --pause_;
      return true;
    }
    if (random_.happens(probability_ * kPauses)) pause_ = random_.next() % kLongestPause;
    return random_.happens(probability_);
  }
  bool any() const { return probability_ > 0; }
  Random& random() { return random_; }

 private:
  double probability_;
  Random random_;
  std::uint64_t pause_ = 0;
};

class Violation : public std::runtime_error {
 public:
  Violation(const char* kind, const std::string& what) : std::runtime_error(std::string(kind) + "\n" + what) {}
};

inline std::string at(std::int64_t cycle) { return " in cycle " + std::to_string(cycle); }

// Offers beats in order; a beat offered stays until it is taken.
class Source {
 public:
  Source(const Stream& stream, const HitfabricInput& beats, Stalls stalls)
      : stream_(stream), beats_(beats), stalls_(stalls) {}

  bool finished() const { return place_ == beats_.count; }

  void drive(std::int64_t first_waiting) {
    if (!offers_ && !finished() && beats_.graph[place_] < first_waiting && !stalls_.now()) {
      offers_ = true;
      std::memcpy(stream_.data, beats_.data + static_cast<std::size_t>(place_) * stream_.bytes, stream_.bytes);
      mask();
      if (stream_.last != nullptr) *stream_.last = beats_.last[place_] != 0 ? 1 : 0;
    } else if (!offers_ && stalls_.any()) {
      scramble();
    }
    *stream_.valid = offers_ ? 1 : 0;
  }

  bool sample(std::int64_t cycle) {
    if (!offers_ || *stream_.ready == 0) return false;
    beats_.cycle[place_++] = cycle;
    offers_ = false;
    return true;
  }

  std::string state() const {
    return stream_.name + ": " + std::to_string(place_) + " of " + std::to_string(beats_.count) + " beats taken" +
           (offers_ ? ", waits for tready" : "");
  }

 private:
  // Data without tvalid mean nothing: a design that looks at them computes something else each time.
  void scramble() {
    auto* bytes = static_cast<std::uint8_t*>(stream_.data);
    for (std::size_t k = 0; k < stream_.bytes; ++k) bytes[k] = static_cast<std::uint8_t>(stalls_.random().next());
    mask();
    if (stream_.last != nullptr) *stream_.last = static_cast<std::uint8_t>(stalls_.random().next() & 1U);
  }
  void mask() { static_cast<std::uint8_t*>(stream_.data)[stream_.bytes - 1] &= stream_.highest; }

  const Stream& stream_;
  const HitfabricInput& beats_;
  Stalls stalls_;
  std::int64_t place_ = 0;
  bool offers_ = false;
};

// Takes beats, and holds the design to the protocol.
class Sink {
 public:
  Sink(const Stream& stream, const HitfabricOutput& beats, Stalls stalls)
      : stream_(stream), beats_(beats), stalls_(stalls), held_(stream.bytes) {}

  bool finished() const { return place_ == beats_.count; }

  // First graph of which a beat is still awaited.
  std::int64_t awaits() const { return finished() ? std::numeric_limits<std::int64_t>::max() : beats_.graph[place_]; }

  void close() { *stream_.ready = 0; }
  void note_valid() { valid_when_closed_ = *stream_.valid; }
  void drive() { *stream_.ready = stalls_.now() ? 0 : 1; }

  bool sample(std::int64_t cycle, bool closed_before) {
    if (closed_before && *stream_.valid != valid_when_closed_)
      throw Violation("protocol", stream_.name + ": tvalid depends on tready" + at(cycle));
    if (waits_) check_held(cycle);
    if (*stream_.valid == 0) return false;
    if (finished()) throw Violation("surplus", stream_.name + ": a beat beyond those expected" + at(cycle));
    if (*stream_.ready == 0) {
      hold();
      return false;
    }
    take(cycle);
    return true;
  }

  std::string state() const {
    return stream_.name + ": " + std::to_string(place_) + " of " + std::to_string(beats_.count) + " beats given" +
           (*stream_.valid != 0 ? ", offers one" : "");
  }

 private:
  void hold() {
    waits_ = true;
    std::memcpy(held_.data(), stream_.data, stream_.bytes);
    held_last_ = stream_.last != nullptr ? *stream_.last : 0;
  }

  void check_held(std::int64_t cycle) {
    waits_ = false;
    if (*stream_.valid == 0) throw Violation("protocol", stream_.name + ": tvalid fell before tready" + at(cycle));
    if (std::memcmp(held_.data(), stream_.data, stream_.bytes) != 0)
      throw Violation("protocol", stream_.name + ": tdata changed before tready" + at(cycle));
    if (stream_.last != nullptr && *stream_.last != held_last_)
      throw Violation("protocol", stream_.name + ": tlast changed before tready" + at(cycle));
  }

  void take(std::int64_t cycle) {
    std::memcpy(beats_.data + static_cast<std::size_t>(place_) * stream_.bytes, stream_.data, stream_.bytes);
    if (stream_.last != nullptr) beats_.last[place_] = *stream_.last;
    beats_.cycle[place_++] = cycle;
  }

  const Stream& stream_;
  const HitfabricOutput& beats_;
  Stalls stalls_;
  std::vector<std::uint8_t> held_;
  std::uint8_t held_last_ = 0;
  std::uint8_t valid_when_closed_ = 0;
  bool waits_ = false;
  std::int64_t place_ = 0;
};

}  // namespace hitfabric

#endif  // HITFABRIC_DRIVER_ENDS_H
