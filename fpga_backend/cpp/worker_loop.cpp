// The loop of a worker whose network is native code: requests are answered without the interpreter, inputs and outputs
// stay in the shared memory. What is out of the ordinary is left to the caller, who does it in Python.
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>

#include "hitfabric_native.h"
#include "wire.h"

namespace {

namespace wire = hitfabric::wire;

constexpr int kSizes = 3;  // rows, nodes, edges
constexpr std::int64_t kNanoseconds = 1'000'000'000;

std::int64_t Now() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * kNanoseconds + time.tv_nsec;
}

std::uint64_t Bytes(const wire::TensorDescriptor& matrix) {
  return static_cast<std::uint64_t>(matrix.dims[0] * matrix.dims[1]) * (matrix.datatype == wire::kInt64 ? 8 : 4);
}

bool Inside(std::uint64_t offset, std::uint64_t bytes, std::uint64_t size) {
  return offset % wire::kAlignment == 0 && offset <= size && bytes <= size - offset;
}

}  // namespace

extern "C" {

struct LoopTensor {
  std::int32_t datatype;
  std::int32_t place;  // of its size among rows, nodes and edges
  std::int64_t width;
};

struct Loop {
  std::int32_t (*run)(hitfabric_call*);
  const LoopTensor* inputs;
  const LoopTensor* outputs;
  std::int64_t* const* taps;  // `tap_count` nulls: no integers are wanted
  std::int32_t input_count, output_count, tap_count;
  std::int32_t threads;
  const char* instructions;
  std::int32_t socket;
  std::byte* memory;
  std::uint64_t bytes;
  std::uint64_t request_id;  // set for kPending
};

enum LoopEnd : std::int32_t { kClosed = 0, kPending = 1, kFailed = 2 };
}

namespace {

// Reads the request frame into `call`; false when it is not one this loop can answer.
bool ReadRequest(const Loop& loop, const wire::FrameHeader& header, hitfabric_call* call, const void** inputs) {
  std::int64_t sizes[kSizes] = {-1, -1, -1};
  if (header.magic != wire::kMagic || header.version != wire::kVersion || header.status != wire::kRequest ||
      header.request_id != loop.request_id || header.tensor_count != static_cast<std::uint32_t>(loop.input_count)) {
    return false;
  }
  for (std::int32_t input = 0; input < loop.input_count; ++input) {
    const LoopTensor& expected = loop.inputs[input];
    wire::TensorDescriptor tensor = {};
    std::memcpy(&tensor, loop.memory + sizeof(header) + input * sizeof(tensor), sizeof(tensor));
    std::int64_t* size = &sizes[expected.place];
    if (tensor.datatype != expected.datatype || tensor.rank != 2 || tensor.dims[1] != expected.width ||
        (*size != -1 && *size != tensor.dims[0]) || tensor.bytes != Bytes(tensor) ||
        !Inside(tensor.offset, tensor.bytes, loop.bytes)) {
      return false;
    }
    *size = tensor.dims[0];
    inputs[input] = loop.memory + tensor.offset;
  }
  call->rows = sizes[0] < 0 ? 0 : sizes[0];
  call->nodes = sizes[1] < 0 ? 0 : sizes[1];
  call->edges = sizes[2] < 0 ? 0 : sizes[2];
  return true;
}

// Lays out the response frame; false when the memory is too short for it.
bool LayResponse(const Loop& loop, std::uint64_t offset, const hitfabric_call& call, float** outputs) {
  const std::int64_t sizes[kSizes] = {call.rows, call.nodes, call.edges};
  std::uint64_t end = offset + sizeof(wire::FrameHeader) +
                      static_cast<std::uint64_t>(loop.output_count) * sizeof(wire::TensorDescriptor);
  if (!Inside(offset, end - offset, loop.bytes)) return false;
  for (std::int32_t output = 0; output < loop.output_count; ++output) {
    const LoopTensor& expected = loop.outputs[output];
    wire::TensorDescriptor tensor = {};
    tensor.datatype = expected.datatype;
    tensor.rank = 2;
    tensor.dims[0] = sizes[expected.place];
    tensor.dims[1] = expected.width;
    tensor.offset = wire::Align(end);
    tensor.bytes = Bytes(tensor);
    if (!Inside(tensor.offset, tensor.bytes, loop.bytes)) return false;
    end = tensor.offset + tensor.bytes;
    outputs[output] = reinterpret_cast<float*>(loop.memory + tensor.offset);
    std::memcpy(loop.memory + offset + sizeof(wire::FrameHeader) + output * sizeof(tensor), &tensor, sizeof(tensor));
  }
  return true;
}

// Answers the request in the memory; false leaves it to the caller.
bool Answer(const Loop& loop) {
  wire::FrameHeader header = {};
  std::memcpy(&header, loop.memory, sizeof(header));
  const void* inputs[wire::kMaximumTensors];
  float* outputs[wire::kMaximumTensors];
  hitfabric_call call = {};
  if (!ReadRequest(loop, header, &call, inputs) || !LayResponse(loop, header.response_offset, call, outputs)) {
    return false;
  }
  call.inputs = inputs;
  call.outputs = outputs;
  call.input_count = loop.input_count;
  call.output_count = loop.output_count;
  call.taps = loop.taps;
  call.tap_count = loop.tap_count;
  call.threads = loop.threads;
  call.instructions = loop.instructions;
  const std::int64_t begin = Now();
  if (loop.run(&call) != HITFABRIC_OK) return false;
  wire::FrameHeader response = {};
  response.magic = wire::kMagic;
  response.version = wire::kVersion;
  response.request_id = loop.request_id;
  response.status = wire::kDone;
  response.tensor_count = static_cast<std::uint32_t>(loop.output_count);
  response.device_nanoseconds = static_cast<std::uint64_t>(Now() - begin);
  std::memcpy(loop.memory + header.response_offset, &response, sizeof(response));
  return true;
}

}  // namespace

// Answers requests until the backend closes the socket (kClosed), one comes that has to be answered by the caller
// (kPending, with its number), or the socket fails (kFailed, with errno).
extern "C" __attribute__((visibility("default"))) std::int32_t hitfabric_worker_loop(Loop* loop) {
  while (true) {
    const ssize_t got = recv(loop->socket, &loop->request_id, sizeof(loop->request_id), 0);
    if (got == 0) return kClosed;
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(sizeof(loop->request_id))) return kFailed;
    if (!Answer(*loop)) return kPending;
    const ssize_t sent = send(loop->socket, &loop->request_id, sizeof(loop->request_id), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(sizeof(loop->request_id))) return kFailed;
  }
}
