#include "signature.h"

#include <cstring>
#include <utility>

#include "status.h"

namespace hitfabric {
namespace {

constexpr std::uint64_t kMaximumTensorBytes = std::uint64_t{1} << 40;

const std::pair<const char*, wire::DataType> kDataTypes[] = {
    {"TYPE_FP32", wire::kFp32}, {"TYPE_INT64", wire::kInt64}, {"TYPE_INT32", wire::kInt32}};

[[noreturn]] void Invalid(const std::string& message) { throw Failure(kInvalidArgument, message); }

wire::DataType ParseDataType(const std::string& name) {
  for (const auto& [known, value] : kDataTypes) {
    if (name == known) return value;
  }
  Invalid("signature: unknown data type " + name);
}

std::string DataTypeName(std::int32_t datatype) {
  for (const auto& [name, value] : kDataTypes) {
    if (datatype == value) return std::string(name).substr(5);
  }
  return "datatype " + std::to_string(datatype);
}

TensorSpec ParseTensor(const Json& json) {
  TensorSpec spec;
  spec.name = json.At("name").AsString();
  spec.datatype = ParseDataType(json.At("data_type").AsString());
  for (const Json& item : json.At("shape").AsArray()) {
    spec.shape.push_back(item.IsString() ? Dimension{item.AsString(), 0} : Dimension{"", item.AsInteger()});
  }
  if (spec.shape.empty() || spec.shape.size() > wire::kMaximumRank) Invalid("signature: rank of " + spec.name);
  if (const Json* symbol = json.Find("index_into"); symbol != nullptr && symbol->IsString()) {
    spec.index_into = symbol->AsString();
  }
  if (const Json* optional = json.Find("optional"); optional != nullptr) spec.optional = optional->AsBool();
  return spec;
}

std::string Wanted(const TensorSpec& spec) {
  std::string text = DataTypeName(spec.datatype) + " [";
  for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
    const Dimension& dimension = spec.shape[axis];
    text += (axis == 0 ? "" : ", ") + (dimension.symbol.empty() ? std::to_string(dimension.size) : dimension.symbol);
  }
  return text + "]";
}

Shape ConfigDims(const TensorSpec& spec, bool batched) {
  Shape dims;
  for (std::size_t axis = batched ? 1 : 0; axis < spec.shape.size(); ++axis) {
    dims.push_back(spec.shape[axis].symbol.empty() ? spec.shape[axis].size : -1);
  }
  return dims;
}

Json ConfigTensors(const std::vector<TensorSpec>& specs, bool batched) {
  Json::Array tensors;
  for (const TensorSpec& spec : specs) {
    Json::Array dims;
    for (const std::int64_t size : ConfigDims(spec, batched)) dims.emplace_back(size);
    Json tensor{Json::Object{}};
    tensor.Set("name", spec.name);
    tensor.Set("data_type", "TYPE_" + DataTypeName(spec.datatype));
    tensor.Set("dims", std::move(dims));
    if (spec.optional) tensor.Set("optional", true);
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void CheckConfigTensors(const Json& config, const char* kind, const std::vector<TensorSpec>& specs, bool batched) {
  const Json* declared = config.Find(kind);
  const std::string place = std::string("config.pbtxt: ") + kind;
  if (declared == nullptr || declared->AsArray().size() != specs.size()) {
    Invalid(place + " must declare " + std::to_string(specs.size()) + " tensors");
  }
  for (const TensorSpec& spec : specs) {
    bool found = false;
    for (const Json& tensor : declared->AsArray()) {
      if (tensor.At("name").AsString() != spec.name) continue;
      found = true;
      Shape dims;
      for (const Json& size : tensor.At("dims").AsArray()) dims.push_back(size.AsInteger());
      const std::string type = tensor.At("data_type").AsString();
      if (type != "TYPE_" + DataTypeName(spec.datatype) || dims != ConfigDims(spec, batched)) {
        Invalid(place + " '" + spec.name + "' is " + type + " " + Describe(dims) + ", the model has " + Wanted(spec));
      }
      const Json* optional = tensor.Find("optional");
      if (spec.optional != (optional != nullptr && optional->AsBool())) {
        Invalid(place + " '" + spec.name + "' must " + (spec.optional ? "" : "not ") + "be optional");
      }
    }
    if (!found) Invalid(place + " lacks '" + spec.name + "'");
  }
}

std::int64_t ConfigBatch(const Json& config) {
  const Json* declared = config.Find("max_batch_size");
  return declared == nullptr ? 0 : declared->AsInteger();
}

}  // namespace

Signature Signature::FromJson(const Json& json) {
  try {
    Signature signature;
    if (json.At("version").AsInteger() != 1) Invalid("signature: unknown version");
    signature.max_batch_size = json.At("max_batch_size").AsInteger();
    for (const Json& tensor : json.At("inputs").AsArray()) signature.inputs.push_back(ParseTensor(tensor));
    for (const Json& tensor : json.At("outputs").AsArray()) signature.outputs.push_back(ParseTensor(tensor));
    for (const auto& [symbol, limit] : json.At("limits").AsObject()) signature.limits[symbol] = limit.AsInteger();
    for (const auto* specs : {&signature.inputs, &signature.outputs}) {
      if (specs->empty() || specs->size() > wire::kMaximumTensors) Invalid("signature: number of tensors");
      for (const TensorSpec& spec : *specs) {
        if (signature.batched() && spec.shape.front().symbol != "R") Invalid("signature: " + spec.name + " lacks rows");
        if (spec.optional && (signature.batched() || &spec == &signature.inputs.front())) {
          Invalid("signature: " + spec.name + " cannot be optional");
        }
      }
    }
    return signature;
  } catch (const JsonError& error) {
    Invalid(std::string("signature: ") + error.what());
  }
}

void Signature::Limit(const std::string& symbol, std::int64_t limit, const std::string& parameter) {
  const auto found = limits.find(symbol);
  if (found == limits.end()) Invalid("config.pbtxt: parameter " + parameter + " means nothing to this model");
  if (limit < 1 || limit > found->second) {
    Invalid("config.pbtxt: parameter " + parameter + " is " + std::to_string(limit) + ", expected 1 to " +
            std::to_string(found->second));
  }
  found->second = limit;
}

void Signature::Complete(Json* config) const {
  const auto missing = [config](const char* name) {
    const Json* found = config->Find(name);
    return found == nullptr || found->AsArray().empty();
  };
  const bool completes_batching = missing("input") && ConfigBatch(*config) == 0;
  if (missing("input")) config->Set("input", ConfigTensors(inputs, batched()));
  if (missing("output")) config->Set("output", ConfigTensors(outputs, batched()));
  if (completes_batching && batched()) {
    config->Set("max_batch_size", max_batch_size);
    if (config->Find("dynamic_batching") == nullptr) config->Set("dynamic_batching", Json::Object{});
  }
}

void Signature::CheckConfig(const Json& config) const {
  const std::int64_t declared = ConfigBatch(config);
  if ((declared > 0) != batched() || declared > max_batch_size) {
    Invalid("config.pbtxt: max_batch_size " + std::to_string(declared) + ", the model allows " +
            (batched() ? "1 to " : "") + std::to_string(max_batch_size));
  }
  CheckConfigTensors(config, "input", inputs, batched());
  CheckConfigTensors(config, "output", outputs, batched());
}

std::size_t ElementBytes(wire::DataType datatype) { return datatype == wire::kInt64 ? 8 : 4; }

std::string Describe(const Shape& shape) {
  std::string text = "[";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    text += (axis == 0 ? "" : ", ") + std::to_string(shape[axis]);
  }
  return text + "]";
}

void CheckShape(const TensorSpec& spec, std::int32_t datatype, const Shape& shape, const Sizes& limits, Sizes* sizes) {
  const std::string is = "tensor '" + spec.name + "' is " + DataTypeName(datatype) + " " + Describe(shape);
  if (datatype != spec.datatype || shape.size() != spec.shape.size()) Invalid(is + ", expected " + Wanted(spec));
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const Dimension& dimension = spec.shape[axis];
    if (dimension.symbol.empty()) {
      if (shape[axis] != dimension.size) Invalid(is + ", expected " + Wanted(spec));
      continue;
    }
    if (shape[axis] < 0) Invalid(is + ", expected " + Wanted(spec));
    const auto limit = limits.find(dimension.symbol);
    if (limit != limits.end() && shape[axis] > limit->second) {
      Invalid(is + ", above the limit " + dimension.symbol + " <= " + std::to_string(limit->second));
    }
    const auto bound = sizes->emplace(dimension.symbol, shape[axis]);
    if (bound.first->second != shape[axis]) {
      Invalid(is + ", but " + dimension.symbol + " = " + std::to_string(bound.first->second) + " elsewhere");
    }
  }
}

std::uint64_t TensorBytes(const TensorSpec& spec, const Shape& shape) {
  std::uint64_t bytes = ElementBytes(spec.datatype);
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes) || bytes > kMaximumTensorBytes) {
      Invalid("tensor '" + spec.name + "' of shape " + Describe(shape) + " is too large");
    }
  }
  return bytes;
}

void CheckValues(const TensorSpec& spec, const Shape& shape, const std::byte* data, const Sizes& sizes) {
  const std::uint64_t count = TensorBytes(spec, shape) / ElementBytes(spec.datatype);
  const std::uint64_t width = shape.size() > 1 && shape.back() > 0 ? static_cast<std::uint64_t>(shape.back()) : 1;
  const auto place = [&spec, width](std::uint64_t index) {
    return "tensor '" + spec.name + "' row " + std::to_string(index / width) + " column " +
           std::to_string(index % width);
  };
  if (spec.datatype == wire::kFp32) {
    // All exponent bits set means infinite or NaN; counted without branches, so that the compiler vectorises the scan.
    constexpr std::uint32_t kExponent = 0x7F800000;
    const auto bits = [data](std::uint64_t index) {
      std::uint32_t word = 0;
      std::memcpy(&word, data + index * sizeof(word), sizeof(word));
      return word;
    };
    std::uint32_t found = 0;
    for (std::uint64_t index = 0; index < count; ++index) {
      found |= static_cast<std::uint32_t>((bits(index) & kExponent) == kExponent);
    }
    for (std::uint64_t index = 0; found != 0 && index < count; ++index) {
      if ((bits(index) & kExponent) == kExponent) Invalid(place(index) + " is not finite");
    }
  } else if (spec.datatype == wire::kInt64 && !spec.index_into.empty()) {
    const auto* values = reinterpret_cast<const std::int64_t*>(data);
    const std::int64_t limit = sizes.at(spec.index_into);
    for (std::uint64_t index = 0; index < count; ++index) {
      if (values[index] < 0 || values[index] >= limit) {
        Invalid(place(index) + " is " + std::to_string(values[index]) + ", outside 0 <= index < " + spec.index_into +
                " = " + std::to_string(limit));
      }
    }
  }
}

}  // namespace hitfabric
