// What a model takes and gives, and the checks that follow from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "json.h"
#include "wire.h"

namespace hitfabric {

// Sizes of the symbolic dimensions of one request ("R" rows, "N" nodes, "E" edges, "H" hits).
using Sizes = std::map<std::string, std::int64_t>;
using Shape = std::vector<std::int64_t>;

struct Dimension {
  std::string symbol;     // empty when the size is fixed
  std::int64_t size = 0;  // used when the symbol is empty
};

struct TensorSpec {
  std::string name;
  wire::DataType datatype = wire::kFp32;
  std::vector<Dimension> shape;
  std::string index_into;  // symbol whose size bounds the values, or empty
  bool optional = false;   // an input that requests may leave out
};

// Read from `signature.json` beside the model; the single source for the checks and for the Triton configuration.
struct Signature {
  std::int64_t max_batch_size = 0;  // 0: one request at a time; else the first dimension of every tensor is rows
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  Sizes limits;

  // Throws Failure(kInvalidArgument) naming what is missing or malformed.
  static Signature FromJson(const Json& json);

  [[nodiscard]] bool batched() const { return max_batch_size > 0; }
  // Lowers the limit of a symbol; throws Failure(kInvalidArgument) when it is not from 1 to the limit there is.
  void Limit(const std::string& symbol, std::int64_t limit, const std::string& parameter);
  // Fills in inputs, outputs and batching where the configuration leaves them out.
  void Complete(Json* config) const;
  // Throws Failure(kInvalidArgument) naming the first tensor the configuration declares differently.
  void CheckConfig(const Json& config) const;
};

std::size_t ElementBytes(wire::DataType datatype);
std::string Describe(const Shape& shape);

// Checks type and shape of one tensor against its spec and the limits; binds symbols in `sizes`.
// Throws Failure(kInvalidArgument) naming the tensor, what it is, and what is wanted.
void CheckShape(const TensorSpec& spec, std::int32_t datatype, const Shape& shape, const Sizes& limits, Sizes* sizes);

// Bytes of a tensor of that shape; throws Failure(kInvalidArgument) when they are beyond counting.
std::uint64_t TensorBytes(const TensorSpec& spec, const Shape& shape);

// Checks values: floats are finite, indices lie in [0, sizes[index_into]). The same kind of failure.
void CheckValues(const TensorSpec& spec, const Shape& shape, const std::byte* data, const Sizes& sizes);

}  // namespace hitfabric
