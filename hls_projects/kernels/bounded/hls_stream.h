// Bounded, blocking streams with the interface of hls::stream: takes the place of the original of the same name, being
// earlier on the include path. For simulation only.
//
// A stream that process_network.h has declared with a depth blocks like the FIFO that synthesis makes of it. Others
// (ports of the top function, streams local to a kernel) hold any number of packets; reading one of those while it is
// empty throws, as nobody could fill it meanwhile.

#ifndef X_HLS_STREAM_SIM_H
#define X_HLS_STREAM_SIM_H

#include <cstddef>
#include <deque>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "fifo.h"

namespace hls {

template <typename T>
class stream {
 public:
  stream() : stream(std::string("a stream without a name")) {}
  explicit stream(std::string name) : fifo_(std::move(name)) {}
  explicit stream(const char* name) : fifo_(name) {}
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  void operator>>(T& value) { read(value); }
  void operator<<(const T& value) { write(value); }
  void read(T& value) { value = read(); }

  T read() {
    fifo_.before_read();
    T value = packets_.front();
    packets_.pop_front();
    return value;
  }

  void write(const T& value) {
    fifo_.before_write();
    packets_.push_back(value);
    if (tap_) tap_(value);
  }

  // What these answer depends on timing inside a network of processes, so that they would say nothing about hardware.
  bool empty() { return untimed("empty") == 0; }
  bool full() {
    untimed("full");
    return false;
  }
  size_t size() { return untimed("size"); }
  bool read_nb(T& value) {
    if (untimed("read_nb") == 0) return false;
    read(value);
    return true;
  }
  bool write_nb(const T& value) {
    untimed("write_nb");
    write(value);
    return true;
  }

  // Copies the values of every packet written to `target`, one after the other.
  void tap(double* target) {
    tap_ = [target](const T& value) mutable {
      for (size_t i = 0; i < T::size; i++) *target++ = double(value[i]);
    };
  }

  hitfabric::Fifo& fifo() { return fifo_; }

 private:
  size_t untimed(const char* method) {
    if (fifo_.depth() != 0)
      throw std::logic_error(fifo_.name() + ": " + method + "() in a dataflow process depends on timing");
    return packets_.size();
  }

  std::deque<T> packets_;
  std::function<void(const T&)> tap_;
  hitfabric::Fifo fifo_;
};

}  // namespace hls

#endif
