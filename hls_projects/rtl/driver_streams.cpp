#include "driver_streams.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "driver_ends.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Waveform = VerilatedFstC;
#elif VM_TRACE_VCD
#include "verilated_vcd_c.h"
using Waveform = VerilatedVcdC;
#endif

namespace hitfabric {
namespace {

constexpr int kResetCycles = 8;
class Simulation {
 public:
  Simulation(std::uint64_t seed, const char* waveform) {
    context_.randReset(2);
    context_.randSeed(static_cast<int>(seed % 0x7fffffffU) + 1);  // 0 would be a seed of the clock's
    context_.traceEverOn(waveform != nullptr);
    model_ = std::make_unique<Vmodel>(&context_);
    ports_ = ports_of(*model_);
    open(waveform);
    reset();
  }

  ~Simulation() {
    model_->final();
#if VM_TRACE
    if (waveform_) waveform_->close();
#endif
  }

  void run(const HitfabricRun& job) {
    Random random(job.seed);
    std::vector<Source> sources;
    std::vector<Sink> sinks;
    for (std::size_t k = 0; k < ports_.inputs.size(); ++k)
      sources.emplace_back(ports_.inputs[k], job.inputs[k], Stalls(job.stalls, random.next()));
    for (std::size_t k = 0; k < ports_.outputs.size(); ++k)
      sinks.emplace_back(ports_.outputs[k], job.outputs[k], Stalls(job.stalls, random.next()));
    std::int64_t idle = 0;
    for (std::int64_t settled = 0; settled <= job.settle;) {
      idle = cycle(job, sources, sinks) ? 0 : idle + 1;
      const bool finished = all_finished(sources) && all_finished(sinks);
      settled = finished ? settled + 1 : 0;
      if (!finished && idle >= job.idle_limit) throw Violation("hang", states(sources, sinks));
    }
#if VM_TRACE
    if (waveform_) waveform_->flush();
#endif
  }

 private:
  void open(const char* waveform) {
#if VM_TRACE
    if (waveform == nullptr) return;
    waveform_ = std::make_unique<Waveform>();
    model_->trace(waveform_.get(), 99);
    waveform_->open(waveform);
    if (!waveform_->isOpen()) throw std::runtime_error(std::string("cannot write ") + waveform);
#else
    if (waveform != nullptr) throw std::runtime_error("this model was compiled without waveforms");
#endif
  }

  void reset() {
    for (const Stream& stream : ports_.inputs) *stream.valid = 0;
    for (const Stream& stream : ports_.outputs) *stream.ready = 0;
    *ports_.reset = 0;
    for (int k = 0; k < kResetCycles; ++k) {
      fall();
      rise();
    }
    for (const Stream& stream : ports_.outputs)
      if (*stream.valid != 0) throw Violation("protocol", stream.name + ": tvalid while in reset");
    *ports_.reset = 1;
  }

  // One clock cycle; whether any beat was taken or given.
  bool cycle(const HitfabricRun& job, std::vector<Source>& sources, std::vector<Sink>& sinks) {
    std::int64_t awaited = std::numeric_limits<std::int64_t>::max();
    if (job.window > 0)
      for (const Sink& sink : sinks) awaited = std::min(awaited, sink.awaits());
    const bool limited = awaited != std::numeric_limits<std::int64_t>::max();
    for (Source& source : sources) source.drive(limited ? awaited + job.window : awaited);
    const bool closed = job.stalls > 0;
    if (closed) {  // a sender may not wait for tready: with all receivers closed tvalid has to be the same
      for (Sink& sink : sinks) sink.close();
      settle();
      for (Sink& sink : sinks) sink.note_valid();
    }
    for (Sink& sink : sinks) sink.drive();
    fall();
    bool moved = false;
    for (Source& source : sources) moved |= source.sample(cycle_);
    for (Sink& sink : sinks) moved |= sink.sample(cycle_, closed);
    rise();
    return moved;
  }

  template <typename Ends>
  static bool all_finished(const std::vector<Ends>& ends) {
    for (const Ends& end : ends)
      if (!end.finished()) return false;
    return true;
  }

  std::string states(const std::vector<Source>& sources, const std::vector<Sink>& sinks) const {
    std::string text = std::to_string(cycle_);
    for (const Source& source : sources) text += "\n" + source.state();
    for (const Sink& sink : sinks) text += "\n" + sink.state();
    return text;
  }

  void settle() {
    *ports_.clock = 0;
    model_->eval();
  }

  void fall() {
    settle();
    dump(0);
  }

  void rise() {
    *ports_.clock = 1;
    model_->eval();
    dump(1);
    ++cycle_;
  }

  void dump(int half) {
#if VM_TRACE
    if (waveform_) waveform_->dump(static_cast<std::uint64_t>(2 * cycle_ + half));
#else
    static_cast<void>(half);
#endif
  }

  VerilatedContext context_;
#if VM_TRACE
  std::unique_ptr<Waveform> waveform_;
#endif
  std::unique_ptr<Vmodel> model_;
  Ports ports_;
  std::int64_t cycle_ = 0;
};

thread_local std::string problem;

template <typename Action>
const char* guarded(const Action& action) {
  try {
    action();
    return nullptr;
  } catch (const Violation& violation) {
    problem = violation.what();
  } catch (const std::exception& error) {
    problem = std::string("failed\n") + error.what();
  }
  return problem.c_str();
}

}  // namespace
}  // namespace hitfabric

#define HITFABRIC_EXPORT extern "C" __attribute__((visibility("default")))

// Both return what went wrong, its kind in the first line, or null.
HITFABRIC_EXPORT const char* hitfabric_streams_open(std::uint64_t seed, const char* waveform, void** simulation) {
  return hitfabric::guarded([&] { *simulation = new hitfabric::Simulation(seed, waveform); });
}

HITFABRIC_EXPORT const char* hitfabric_streams_run(void* simulation, const HitfabricRun* job) {
  return hitfabric::guarded([&] { static_cast<hitfabric::Simulation*>(simulation)->run(*job); });
}

HITFABRIC_EXPORT void hitfabric_streams_close(void* simulation) {
  delete static_cast<hitfabric::Simulation*>(simulation);
}
