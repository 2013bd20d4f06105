// The top function of a dataflow design as a Kahn process network: one process per layer, joined by bounded FIFOs.
//
// A process touches FIFOs only by blocking reads and writes, and each FIFO has one writer and one reader. Whether such
// a network stops short then depends on the depths alone, not on the order in which processes run (Kahn 1974; Parks
// 1995), so that it is decided here by running them one at a time on fibers.
//
// One trip of a process's loop is taken to happen at once, as where synthesis puts its reads and writes into one cycle:
// until the trip ends, what it read still takes its slots and what it wrote cannot be read. A trip ends before the
// first read behind a write, and before a FIFO is read or written again. Synthesis may split a trip over cycles, which
// can only let others go on earlier: a network that completes here completes there.
//
// The order chosen keeps FIFOs low: the process furthest downstream that can run, runs; one that reads a port of the
// top function, whose data is there from the start, only when a process downstream waits for it.

#ifndef HITFABRIC_PROCESS_NETWORK_H_
#define HITFABRIC_PROCESS_NETWORK_H_

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fiber.h"
#include "fifo.h"

namespace hitfabric {

// Set by the C entry; the test bench leaves them as they are.
struct Probe {
  const int64_t* depths = nullptr;  // instead of those declared, in the order of declaration
  int64_t* peaks = nullptr;         // receives the highest occupancy of each FIFO, over all graphs
};
inline Probe probe;

// No process can go on. record(): one line per waiting process, "process fifo full|empty", the circular wait first
// and an empty line behind it.
class Deadlock : public std::runtime_error {
 public:
  Deadlock(const std::string& text, std::string record) : std::runtime_error(text), record_(std::move(record)) {}
  const std::string& record() const { return record_; }

 private:
  std::string record_;
};

class Network : public Scheduler {
 public:
  ~Network() override { cancel(); }

  void declare(Fifo& fifo, size_t depth, size_t writer, size_t reader) {
    if (probe.depths != nullptr) depth = size_t(probe.depths[fifos_.size()]);
    fifo.declare(*this, depth, writer, reader);
    fifos_.push_back(&fifo);
  }

  // Processes in the order of data flow. reads_port: one of its inputs is a port of the top function.
  void process(const char* name, bool reads_port, std::function<void()> work) {
    auto whole = [this, work] {
      work();
      end_trip();
    };
    processes_.push_back({name, reads_port, nullptr, false, {}, {}, std::unique_ptr<Fiber>(new Fiber(whole))});
  }

  // Throws Deadlock, or what a process threw.
  void run() {
    while (true) {
      size_t next = downstream();
      if (next == none) next = demanded();
      if (next == none) break;
      resume(next);
    }
    record_peaks();
    for (const Fifo* fifo : fifos_)
      if (fifo->slots() != 0) throw std::runtime_error(fifo->name() + " holds packets that no process has read");
  }

  void before_read(Fifo& fifo) override {
    Process& self = processes_[current_];
    if (!self.wrote.empty() || has(self.read, fifo)) end_trip();
    if (fifo.empty()) wait(fifo, false);
    self.read.push_back(&fifo);
  }

  void before_write(Fifo& fifo) override {
    Process& self = processes_[current_];
    if (has(self.wrote, fifo)) end_trip();
    if (fifo.full()) wait(fifo, true);
    self.wrote.push_back(&fifo);
  }

 private:
  struct Process {
    std::string name;
    bool reads_port;
    Fifo* waits;
    bool full;
    std::vector<Fifo*> read, wrote;  // in this trip
    std::unique_ptr<Fiber> fiber;
  };
  struct Cancelled {};  // unwinds the stack of a process that will not go on
  static const size_t none = size_t(-1);

  static bool has(const std::vector<Fifo*>& fifos, const Fifo& fifo) {
    return std::find(fifos.begin(), fifos.end(), &fifo) != fifos.end();
  }

  void wait(Fifo& fifo, bool full) {
    Process& self = processes_[current_];
    self.waits = &fifo;
    self.full = full;
    leave();
    self.waits = nullptr;
  }

  // Others may go on: those downstream go first.
  void end_trip() {
    Process& self = processes_[current_];
    bool awaited = false;
    for (Fifo* fifo : self.read) fifo->release();
    for (Fifo* fifo : self.wrote) {
      fifo->deliver();
      awaited = awaited || processes_[fifo->reader()].waits == fifo;
    }
    self.read.clear();
    self.wrote.clear();
    if (awaited) leave();
  }

  void leave() {
    processes_[current_].fiber->leave();
    if (cancelled_) throw Cancelled();
  }

  bool can_run(const Process& process) const {
    if (process.fiber->done()) return false;
    if (process.waits == nullptr) return true;
    return process.full ? !process.waits->full() : !process.waits->empty();
  }

  size_t downstream() const {
    for (size_t i = processes_.size(); i-- > 0;)
      if (!processes_[i].reads_port && can_run(processes_[i])) return i;
    return none;
  }

  // The process that the last unfinished one waits for, through whatever is between them; none once all are done.
  size_t demanded() {
    size_t at = processes_.size();
    while (at-- > 0 && processes_[at].fiber->done()) {
    }
    if (at == none) return none;
    std::vector<size_t> chain;
    while (!can_run(processes_[at])) {
      for (size_t i = 0; i < chain.size(); i++)
        if (chain[i] == at) fail(std::vector<size_t>(chain.begin() + long(i), chain.end()));
      chain.push_back(at);
      at = partner(processes_[at]);
      if (processes_[at].fiber->done()) fail(std::vector<size_t>(1, chain.back()));
    }
    return at;
  }

  static size_t partner(const Process& process) {
    return process.full ? process.waits->reader() : process.waits->writer();
  }

  void resume(size_t place) {
    current_ = place;
    processes_[place].fiber->resume();
  }

  [[noreturn]] void fail(const std::vector<size_t>& cycle) {
    // The rest of the network goes on as far as it can, so that all who wait are known.
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t i = 0; i < processes_.size(); i++)
        while (can_run(processes_[i])) {
          resume(i);
          moved = true;
        }
    }
    record_peaks();
    std::ostringstream text, record;
    text << "deadlock:";
    for (size_t place : cycle) describe(processes_[place], text, record);
    record << "\n";
    for (const Process& process : processes_) {
      bool told = process.fiber->done();
      for (size_t place : cycle) told = told || &processes_[place] == &process;
      if (!told) describe(process, text, record);
    }
    throw Deadlock(text.str(), record.str());
  }

  void describe(const Process& process, std::ostream& text, std::ostream& record) const {
    const Fifo& fifo = *process.waits;
    const std::string& other = processes_[partner(process)].name;
    if (process.full)
      text << " " << process.name << " waits for " << other << " to read " << fifo.name() << ", full at depth "
           << fifo.depth() << ";";
    else
      text << " " << process.name << " waits for " << other << " to write " << fifo.name() << ";";
    record << process.name << " " << fifo.name() << (process.full ? " full\n" : " empty\n");
  }

  void record_peaks() const {
    for (size_t i = 0; probe.peaks != nullptr && i < fifos_.size(); i++)
      probe.peaks[i] = std::max(probe.peaks[i], int64_t(fifos_[i]->peak()));
  }

  void cancel() noexcept {
    cancelled_ = true;
    for (size_t i = 0; i < processes_.size(); i++) {
      Fiber& fiber = *processes_[i].fiber;
      while (fiber.started() && !fiber.done()) {
        try {
          resume(i);
        } catch (...) {  // Cancelled, or what a destructor of the process met: the first error is already on its way
        }
      }
    }
  }

  std::vector<Process> processes_;
  std::vector<const Fifo*> fifos_;
  size_t current_ = none;
  bool cancelled_ = false;
};

}  // namespace hitfabric

#endif
