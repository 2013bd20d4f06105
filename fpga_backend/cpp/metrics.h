// Counters on the server's Prometheus endpoint.
#pragma once

#include <cstdint>
#include <string>

#include "triton_abi.h"

namespace hitfabric {

// A family of counters; does nothing on a server started without metrics.
class CounterFamily {
 public:
  CounterFamily(const char* name, const char* description);
  ~CounterFamily();
  CounterFamily(const CounterFamily&) = delete;
  CounterFamily& operator=(const CounterFamily&) = delete;
  [[nodiscard]] TRITONSERVER_MetricFamily* get() const { return family_; }

 private:
  TRITONSERVER_MetricFamily* family_ = nullptr;
};

// The counter of one model instance; must not outlive its family.
class Counter {
 public:
  Counter(const CounterFamily& family, const std::string& model, std::uint64_t version, const std::string& instance);
  ~Counter();
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  void Add(double value) noexcept;

 private:
  TRITONSERVER_Metric* metric_ = nullptr;
};

struct CounterFamilies {
  CounterFamily inferences{"hitfabric_inferences_total", "Requests answered successfully"};
  CounterFamily rows{"hitfabric_rows_total", "Rows, graph nodes or hits in those requests"};
  CounterFamily restarts{"hitfabric_worker_restarts_total", "Worker processes that died or hung and were replaced"};
};

}  // namespace hitfabric
