#include "request.h"

#include <cstring>
#include <ctime>

namespace hitfabric {

std::uint64_t Now() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

Request::Request(TRITONBACKEND_Request* handle) : handle_(handle) {
  if (TRITONSERVER_Error* error = TRITONBACKEND_ResponseNew(&response_, handle)) {
    failure_.emplace(kInternal, TRITONSERVER_ErrorMessage(error));
    TRITONSERVER_ErrorDelete(error);
  }
}

void Request::CheckCancelled() const {
  bool cancelled = false;
  Check(TRITONBACKEND_RequestIsCancelled(handle_, &cancelled));
  if (cancelled) throw Failure(kCancelled, "request cancelled by the client");
}

bool Request::Has(const std::string& input) const {
  std::uint32_t count = 0;
  Check(TRITONBACKEND_RequestInputCount(handle_, &count));
  for (std::uint32_t index = 0; index < count; ++index) {
    const char* name = nullptr;
    Check(TRITONBACKEND_RequestInputName(handle_, index, &name));
    if (input == name) return true;
  }
  return false;
}

std::uint32_t Request::ReadWanted(const Signature& signature) const {
  std::uint32_t count = 0;
  Check(TRITONBACKEND_RequestOutputCount(handle_, &count));
  std::uint32_t wanted = 0;
  for (std::uint32_t index = 0; index < count; ++index) {
    const char* name = nullptr;
    Check(TRITONBACKEND_RequestOutputName(handle_, index, &name));
    for (std::size_t output = 0; output < signature.outputs.size(); ++output) {
      if (signature.outputs[output].name == name) wanted |= std::uint32_t{1} << output;
    }
  }
  return wanted;
}

void Request::Read(const Signature& signature) {
  CheckCancelled();
  wanted_ = ReadWanted(signature);
  for (const TensorSpec& spec : signature.inputs) {
    Input input;
    if (spec.optional && !Has(spec.name)) {
      inputs_.push_back(std::move(input));
      continue;
    }
    std::int32_t datatype = 0;
    const std::int64_t* dims = nullptr;
    std::uint32_t rank = 0;
    Check(TRITONBACKEND_RequestInput(handle_, spec.name.c_str(), &input.handle));
    Check(TRITONBACKEND_InputProperties(input.handle, nullptr, &datatype, &dims, &rank, &input.bytes, &input.buffers));
    input.shape.assign(dims, dims + rank);
    CheckShape(spec, datatype, input.shape, signature.limits, &sizes_);
    const std::uint64_t expected = TensorBytes(spec, input.shape);
    if (input.bytes != expected) {
      throw Failure(kInvalidArgument, "tensor '" + spec.name + "' of shape " + Describe(input.shape) + " has " +
                                          std::to_string(input.bytes) + " bytes, expected " + std::to_string(expected));
    }
    inputs_.push_back(std::move(input));
  }
}

void Request::CopyInput(std::size_t input, std::byte* destination) const {
  std::uint64_t left = inputs_[input].bytes;
  for (std::uint32_t index = 0; index < inputs_[input].buffers; ++index) {
    const void* buffer = nullptr;
    std::uint64_t bytes = 0;
    int memory = kMemoryCpu;
    std::int64_t device = 0;
    Check(TRITONBACKEND_InputBuffer(inputs_[input].handle, index, &buffer, &bytes, &memory, &device));
    if (memory == kMemoryGpu) throw Failure(kUnsupported, "inputs must be in host memory");
    if (bytes > left) throw Failure(kInternal, "the server's buffers hold more than the tensor");
    if (bytes > 0) std::memcpy(destination, buffer, bytes);
    destination += bytes;
    left -= bytes;
  }
  if (left != 0) throw Failure(kInternal, "the server's buffers hold less than the tensor");
}

void Request::AddOutput(const TensorSpec& spec, const Shape& shape, const std::byte* source) {
  TRITONBACKEND_Output* output = nullptr;
  Check(TRITONBACKEND_ResponseOutput(response_, &output, spec.name.c_str(), spec.datatype, shape.data(),
                                     static_cast<std::uint32_t>(shape.size())));
  const std::uint64_t bytes = TensorBytes(spec, shape);
  void* buffer = nullptr;
  int memory = kMemoryCpu;
  std::int64_t device = 0;
  Check(TRITONBACKEND_OutputBuffer(output, &buffer, bytes, &memory, &device));
  if (memory == kMemoryGpu) throw Failure(kUnsupported, "outputs must be in host memory");
  if (bytes > 0) std::memcpy(buffer, source, bytes);
}

void Request::Finish(TRITONBACKEND_ModelInstance* instance, const Times& times) noexcept {
  if (response_ != nullptr) {
    TRITONSERVER_Error* error = failed() ? TRITONSERVER_ErrorNew(failure_->code(), failure_->what()) : nullptr;
    Ignore(TRITONBACKEND_ResponseSend(response_, kTritonResponseFinal, error));
    Ignore(error);
    response_ = nullptr;
  }
  Ignore(TRITONBACKEND_ModelInstanceReportStatistics(instance, handle_, !failed(), times.start, times.compute_start,
                                                     times.compute_end, Now()));
  Ignore(TRITONBACKEND_RequestRelease(handle_, kTritonReleaseAll));
}

}  // namespace hitfabric
