// Counters and gauges on the server's Prometheus endpoint.
#pragma once

#include <cstdint>
#include <string>

#include "triton_abi.h"

namespace hitfabric {

// A family of counters, or of gauges; does nothing on a server started without metrics.
class MetricFamily {
 public:
  MetricFamily(const char* name, const char* description, int kind = kTritonCounterMetric);
  ~MetricFamily();
  MetricFamily(const MetricFamily&) = delete;
  MetricFamily& operator=(const MetricFamily&) = delete;
  [[nodiscard]] TRITONSERVER_MetricFamily* get() const { return family_; }

 private:
  TRITONSERVER_MetricFamily* family_ = nullptr;
};

// The counter or gauge of one model instance; must not outlive its family.
class Metric {
 public:
  Metric(const MetricFamily& family, const std::string& model, std::uint64_t version, const std::string& instance);
  ~Metric();
  Metric(const Metric&) = delete;
  Metric& operator=(const Metric&) = delete;
  void Add(double value) noexcept;

 private:
  TRITONSERVER_Metric* metric_ = nullptr;
};

struct MetricFamilies {
  MetricFamily inferences{"hitfabric_inferences_total", "Requests answered successfully"};
  MetricFamily rows{"hitfabric_rows_total", "Rows, graph nodes or hits in those requests"};
  MetricFamily device_seconds{"hitfabric_device_seconds_total", "Time the device computed"};
  MetricFamily restarts{"hitfabric_worker_restarts_total", "Worker processes that died or hung and were replaced"};
  MetricFamily checks{"hitfabric_shadow_checks_total", "Calls of networks that the shadow device checked"};
  MetricFamily mismatches{"hitfabric_shadow_mismatches_total", "Checks that found another result"};
  MetricFamily queue_depth{"hitfabric_queue_depth", "Requests handed to an instance and not answered yet",
                           kTritonGaugeMetric};
};

}  // namespace hitfabric
