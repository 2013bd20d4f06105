#include "model.h"

#include <charconv>
#include <fstream>
#include <memory>
#include <sstream>

namespace hitfabric {
namespace {

constexpr std::int64_t kDefaultStartTimeout = 300'000;  // a first start may compile the network's executor
constexpr std::int64_t kDefaultBatchTimeout = 60'000;
constexpr std::int64_t kLongestTimeout = 86'400'000;

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

std::chrono::milliseconds Timeout(const Json& config, const std::string& name, std::int64_t fallback) {
  const std::string text = Parameter(config, name, std::to_string(fallback));
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > kLongestTimeout) {
    throw Failure(kInvalidArgument, "config.pbtxt: parameter " + name + " is '" + text +
                                        "', expected milliseconds from 1 to " + std::to_string(kLongestTimeout));
  }
  return std::chrono::milliseconds(value);
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

  signature_ = Signature::FromJson(Json::Parse(ReadFile(directory + "/signature.json")));
  Json config = ReadConfig(handle);
  bool completing = false;
  Check(TRITONBACKEND_ModelAutoCompleteConfig(handle, &completing));
  if (completing) {
    signature_.Complete(&config);
    WriteConfig(handle, config);
  }
  signature_.CheckConfig(config);

  worker_.command = {Parameter(config, "python", "python3"),
                     "-m",
                     "hitfabric.fpga_backend.worker",
                     "--device",
                     Parameter(config, "device", "native"),
                     "--model",
                     directory + "/model"};
  worker_.start_timeout = Timeout(config, "worker_start_timeout_ms", kDefaultStartTimeout);
  worker_.batch_timeout = Timeout(config, "worker_timeout_ms", kDefaultBatchTimeout);
}

WorkerOptions Model::worker_options(const std::string& label) const {
  WorkerOptions options = worker_;
  options.label = label;
  return options;
}

}  // namespace hitfabric
