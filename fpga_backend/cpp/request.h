// One inference request: what came in, and the response that goes out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "signature.h"
#include "status.h"
#include "triton_abi.h"

namespace hitfabric {

// Monotonic times in nanoseconds, as Triton's statistics want them.
struct Times {
  std::uint64_t start = 0;
  std::uint64_t compute_start = 0;
  std::uint64_t compute_end = 0;
};

std::uint64_t Now();

// Owns a request from the moment the server hands it over until Finish answers and releases it.
class Request {
 public:
  explicit Request(TRITONBACKEND_Request* handle);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  Request(Request&&) = default;

  // Reads and checks types and shapes; throws Failure.
  void Read(const Signature& signature);
  [[nodiscard]] const Sizes& sizes() const { return sizes_; }
  // Whether an optional input was left out.
  [[nodiscard]] bool absent(std::size_t input) const { return inputs_[input].handle == nullptr; }
  // Bit i is set when the client wants output i.
  [[nodiscard]] std::uint32_t wanted() const { return wanted_; }
  [[nodiscard]] const Shape& shape(std::size_t input) const { return inputs_[input].shape; }
  [[nodiscard]] std::uint64_t bytes(std::size_t input) const { return inputs_[input].bytes; }
  // First dimension of the first input: rows, nodes or hits.
  [[nodiscard]] std::int64_t rows() const { return inputs_.empty() ? 0 : inputs_.front().shape.front(); }

  // Throws Failure(kCancelled) when the client has cancelled the request or gone.
  void CheckCancelled() const;
  void CopyInput(std::size_t input, std::byte* destination) const;
  void AddOutput(const TensorSpec& spec, const Shape& shape, const std::byte* source);

  void Fail(Failure failure) { failure_ = std::move(failure); }
  [[nodiscard]] bool failed() const { return failure_.has_value(); }

  // Sends the response (or the failure), reports the statistics and releases the request.
  void Finish(TRITONBACKEND_ModelInstance* instance, const Times& times) noexcept;

 private:
  struct Input {
    TRITONBACKEND_Input* handle = nullptr;
    Shape shape;
    std::uint64_t bytes = 0;
    std::uint32_t buffers = 0;
  };

  [[nodiscard]] bool Has(const std::string& input) const;
  [[nodiscard]] std::uint32_t ReadWanted(const Signature& signature) const;

  TRITONBACKEND_Request* handle_;
  TRITONBACKEND_Response* response_ = nullptr;
  std::vector<Input> inputs_;
  Sizes sizes_;
  std::uint32_t wanted_ = 0;
  std::optional<Failure> failure_;
};

}  // namespace hitfabric
