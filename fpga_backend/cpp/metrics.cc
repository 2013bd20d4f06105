#include "metrics.h"

#include <memory>
#include <vector>

#include "status.h"

namespace hitfabric {

CounterFamily::CounterFamily(const char* name, const char* description) {
  Ignore(TRITONSERVER_MetricFamilyNew(&family_, kTritonCounterMetric, name, description));
}

CounterFamily::~CounterFamily() {
  if (family_ != nullptr) Ignore(TRITONSERVER_MetricFamilyDelete(family_));
}

Counter::Counter(const CounterFamily& family, const std::string& model, std::uint64_t version,
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

Counter::~Counter() {
  if (metric_ != nullptr) Ignore(TRITONSERVER_MetricDelete(metric_));
}

void Counter::Add(double value) noexcept {
  if (metric_ != nullptr) Ignore(TRITONSERVER_MetricIncrement(metric_, value));
}

}  // namespace hitfabric
