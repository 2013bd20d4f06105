#include "metrics.h"

#include <memory>
#include <vector>

#include "status.h"

namespace hitfabric {

MetricFamily::MetricFamily(const char* name, const char* description, int kind) {
  Ignore(TRITONSERVER_MetricFamilyNew(&family_, kind, name, description));
}

MetricFamily::~MetricFamily() {
  if (family_ != nullptr) Ignore(TRITONSERVER_MetricFamilyDelete(family_));
}

Metric::Metric(const MetricFamily& family, const std::string& model, std::uint64_t version,
               const std::string& instance) {
  if (family.get() == nullptr) return;
  using Label = std::unique_ptr<TRITONSERVER_Parameter, decltype(&TRITONSERVER_ParameterDelete)>;
  const auto label = [](const char* name, const std::string& value) {
    return Label(TRITONSERVER_ParameterNew(name, kTritonStringParameter, value.c_str()), TRITONSERVER_ParameterDelete);
  };
  const Label owned[] = {label("model", model), label("version", std::to_string(version)), label("instance", instance)};
  std::vector<const TRITONSERVER_Parameter*> labels;
  for (const Label& one : owned) labels.push_back(one.get());
  Ignore(TRITONSERVER_MetricNew(&metric_, family.get(), labels.data(), labels.size()));
}

Metric::~Metric() {
  if (metric_ != nullptr) Ignore(TRITONSERVER_MetricDelete(metric_));
}

void Metric::Add(double value) noexcept {
  if (metric_ != nullptr && value != 0) Ignore(TRITONSERVER_MetricIncrement(metric_, value));
}

}  // namespace hitfabric
