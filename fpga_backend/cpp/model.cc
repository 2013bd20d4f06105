#include "model.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

namespace hitfabric {
namespace {

constexpr std::int64_t kDefaultStartTimeout = 300'000;  // a first start may compile the network's executor
constexpr std::int64_t kDefaultRestartWait = 30'000;    // a start takes a second, on a crowded machine ten
constexpr std::int64_t kDefaultBatchTimeout = 60'000;
constexpr std::int64_t kLongestTimeout = 86'400'000;

constexpr const char* kPython = "python";
constexpr const char* kDevice = "device";
constexpr const char* kBatchTimeout = "worker_timeout_ms";
constexpr const char* kStartTimeout = "worker_start_timeout_ms";
constexpr const char* kRestartWait = "worker_restart_wait_ms";

constexpr const char* kOwnParameters[] = {kPython, kDevice, kBatchTimeout, kStartTimeout, kRestartWait};
// Parameters that lower a limit of the signature, and the symbol they limit.
constexpr std::pair<const char*, const char*> kLimits[] = {
    {"maximal_rows", "R"}, {"maximal_nodes", "N"}, {"maximal_edges", "E"}, {"maximal_hits", "H"}};

using Message = std::unique_ptr<TRITONSERVER_Message, decltype(&TRITONSERVER_MessageDelete)>;

Json ReadConfig(TRITONBACKEND_Model* handle) {
  TRITONSERVER_Message* raw = nullptr;
  Check(TRITONBACKEND_ModelConfig(handle, kTritonConfigVersion, &raw));
  const Message message(raw, TRITONSERVER_MessageDelete);
  const char* base = nullptr;
  std::size_t bytes = 0;
  Check(TRITONSERVER_MessageSerializeToJson(message.get(), &base, &bytes));
  return Json::Parse(std::string_view(base, bytes));
}

void WriteConfig(TRITONBACKEND_Model* handle, const Json& config) {
  const std::string text = config.Dump();
  TRITONSERVER_Message* raw = nullptr;
  Check(TRITONSERVER_MessageNewFromSerializedJson(&raw, text.data(), text.size()));
  const Message message(raw, TRITONSERVER_MessageDelete);
  Check(TRITONBACKEND_ModelSetConfig(handle, kTritonConfigVersion, message.get()));
}

std::string Parameter(const Json& config, const std::string& name, const std::string& fallback) {
  const Json* parameters = config.Find("parameters");
  const Json* entry = parameters == nullptr ? nullptr : parameters->Find(name);
  return entry == nullptr ? fallback : entry->At("string_value").AsString();
}

std::optional<std::int64_t> Number(const Json& config, const std::string& name, std::int64_t most) {
  const std::string text = Parameter(config, name, "");
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    throw Failure(kInvalidArgument, "config.pbtxt: parameter " + name + " is '" + text +
                                        "', expected a whole number from 1 to " + std::to_string(most));
  }
  return value;
}

std::chrono::milliseconds Timeout(const Json& config, const std::string& name, std::int64_t fallback) {
  return std::chrono::milliseconds(Number(config, name, kLongestTimeout).value_or(fallback));
}

// The worker checks the parameters that are its own.
void AddSettings(const Json& config, std::vector<std::string>* command) {
  const Json* parameters = config.Find("parameters");
  if (parameters == nullptr) return;
  for (const auto& [name, value] : parameters->AsObject()) {
    if (std::find(std::begin(kOwnParameters), std::end(kOwnParameters), name) != std::end(kOwnParameters)) continue;
    if (std::any_of(std::begin(kLimits), std::end(kLimits), [&](const auto& limit) { return name == limit.first; })) {
      continue;
    }
    command->insert(command->end(), {"--setting", name + "=" + value.At("string_value").AsString()});
  }
}

std::string ReadFile(const std::string& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) throw Failure(kNotFound, "cannot read " + path);
  return text.str();
}

}  // namespace

Model::Model(TRITONBACKEND_Model* handle, Backend* backend) : backend_(backend) {
  const char* text = nullptr;
  Check(TRITONBACKEND_ModelName(handle, &text));
  name_ = text;
  Check(TRITONBACKEND_ModelVersion(handle, &version_));
  int kind = 0;
  Check(TRITONBACKEND_ModelRepository(handle, &kind, &text));
  if (kind != kTritonFilesystem) throw Failure(kUnsupported, "the model repository must be a local directory");
  const std::string directory = std::string(text) + "/" + std::to_string(version_);

  Json config = ReadConfig(handle);
  worker_.command = {Parameter(config, kPython, "python3"),
                     "-m",
                     "hitfabric.fpga_backend.worker",
                     "--device",
                     Parameter(config, kDevice, "native"),
                     "--model",
                     directory + "/model"};
  AddSettings(config, &worker_.command);
  worker_.start_timeout = Timeout(config, kStartTimeout, kDefaultStartTimeout);
  worker_.restart_wait = Timeout(config, kRestartWait, kDefaultRestartWait);
  worker_.batch_timeout = Timeout(config, kBatchTimeout, kDefaultBatchTimeout);

  signature_ = ReadSignature(directory);
  for (const auto& [parameter, symbol] : kLimits) {
    if (const auto limit = Number(config, parameter, std::numeric_limits<std::int64_t>::max())) {
      signature_.Limit(symbol, *limit, parameter);
    }
  }
  bool completing = false;
  Check(TRITONBACKEND_ModelAutoCompleteConfig(handle, &completing));
  if (completing) {
    signature_.Complete(&config);
    WriteConfig(handle, config);
  }
  signature_.CheckConfig(config);
}

Signature Model::ReadSignature(const std::string& directory) const {
  const std::string path = directory + "/signature.json";
  if (std::filesystem::exists(path)) {
    try {
      return Signature::FromJson(Json::Parse(ReadFile(path)));
    } catch (const JsonError& error) {
      throw Failure(kInvalidArgument, path + ": " + error.what());
    }
  }
  // Somebody put just a typed graph there: its worker knows the signature.
  WorkerProcess worker(&backend_->launcher, worker_options(name_), [] {});
  worker.AwaitFirst();
  return Signature::FromJson(Json::Parse(worker.announcement()));
}

WorkerOptions Model::worker_options(const std::string& label) const {
  WorkerOptions options = worker_;
  options.label = label;
  options.command.insert(options.command.end(), {"--instance", label});
  return options;
}

}  // namespace hitfabric
