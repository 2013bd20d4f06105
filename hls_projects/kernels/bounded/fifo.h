// Occupancy of one FIFO, and what it asks of whoever runs its writer and its reader.

#ifndef HITFABRIC_FIFO_H_
#define HITFABRIC_FIFO_H_

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace hitfabric {

class Fifo;

// Runs processes that block on FIFOs.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  virtual void before_read(Fifo& fifo) = 0;   // returns once a packet can be read
  virtual void before_write(Fifo& fifo) = 0;  // returns once there is room
};

class Fifo {
 public:
  explicit Fifo(std::string name) : name_(std::move(name)) {}

  // depth: packets it holds. writer, reader: places of the two processes in the network.
  void declare(Scheduler& scheduler, size_t depth, size_t writer, size_t reader) {
    if (depth == 0) throw std::logic_error(name_ + ": a FIFO holds at least one packet");
    scheduler_ = &scheduler;
    depth_ = depth;
    writer_ = writer;
    reader_ = reader;
  }

  // Called by the stream around each access.
  void before_read() {
    if (scheduler_ != nullptr)
      scheduler_->before_read(*this);
    else if (packets_ == 0)
      throw std::runtime_error(name_ + " is read while empty, and nothing will fill it");
    packets_--;
  }
  void before_write() {
    if (scheduler_ != nullptr) scheduler_->before_write(*this);
    slots_++;
    if (slots_ > peak_) peak_ = slots_;
    if (scheduler_ == nullptr) packets_++;
  }

  // Called by the network once a trip of the reader's or writer's loop is over.
  void release() { slots_--; }
  void deliver() { packets_++; }

  bool empty() const { return packets_ == 0; }
  bool full() const { return slots_ >= depth_; }
  const std::string& name() const { return name_; }
  size_t depth() const { return depth_; }  // 0: not declared, any number of packets
  size_t slots() const { return slots_; }
  size_t peak() const { return peak_; }
  size_t writer() const { return writer_; }
  size_t reader() const { return reader_; }

 private:
  std::string name_;
  Scheduler* scheduler_ = nullptr;
  size_t depth_ = 0, writer_ = 0, reader_ = 0;
  size_t packets_ = 0;           // that can be read
  size_t slots_ = 0, peak_ = 0;  // taken, and the most taken so far
};

}  // namespace hitfabric

#endif
