// The wire between the backend and its worker process.
//
// Both map one memory file (memfd, sealed against shrinking). The backend writes a request frame at offset 0, then
// sends the 8-byte request id over a SOCK_SEQPACKET socket pair. The worker writes a response frame at the request's
// `response_offset` (growing the file if needed) and sends the id back. A worker that has loaded its model announces
// itself with id 0 and a response frame at offset 0: status kDone and its signature as JSON in the message, or
// kInternal with the reason it cannot serve.
//
// A frame is a header, `tensor_count` descriptors, and payloads anywhere in the file; every offset counts from the
// start of the file and is a multiple of kAlignment; integers are little endian. Tensors come in the order of the
// model's signature, row-major, tightly packed; one that is not there (an optional input not given, an output not
// wanted) has data type kAbsent. `wire.py` declares the same layout; a test compares the two.
#pragma once

#include <cstdint>

namespace hitfabric::wire {

constexpr std::uint32_t kMagic = 0x46544948;  // "HITF"
constexpr std::uint32_t kVersion = 2;
constexpr std::uint64_t kAlignment = 64;
constexpr std::uint32_t kMaximumRank = 4;
constexpr std::uint32_t kMaximumTensors = 16;
constexpr std::uint64_t kMaximumMessage = 4096;

enum Status : std::uint32_t { kRequest = 0, kDone = 1, kInvalid = 2, kInternal = 3 };

// The values are Triton's TRITONSERVER_DataType.
enum DataType : std::int32_t { kAbsent = 0, kInt32 = 8, kInt64 = 9, kFp32 = 11 };

struct FrameHeader {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t request_id;
  std::uint32_t status;
  std::uint32_t tensor_count;
  std::uint64_t response_offset;  // requests: where the response goes
  std::uint64_t message_offset;   // responses other than kDone: UTF-8 text for the client
  std::uint32_t message_bytes;
  std::uint32_t wanted;              // requests: bit i is set when somebody wants output i
  std::uint64_t device_nanoseconds;  // responses: time the device took
  std::uint32_t checked;             // responses: shadow checks finished since the last response,
  std::uint32_t mismatched;          // and those that found another result
};

struct TensorDescriptor {
  std::int32_t datatype;
  std::uint32_t rank;
  std::int64_t dims[kMaximumRank];
  std::uint64_t offset;
  std::uint64_t bytes;
  std::uint64_t reserved;
};

static_assert(sizeof(FrameHeader) == 64 && sizeof(TensorDescriptor) == 64, "the layout is fixed by version 2");

constexpr std::uint64_t Align(std::uint64_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace hitfabric::wire
