// Runs parts of the backend outside the server, for the tests: `check layout | json | request SIGNATURE FRAME`.
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "json.h"
#include "signature.h"
#include "status.h"
#include "wire.h"

namespace {

using hitfabric::Json;
namespace wire = hitfabric::wire;

std::string ReadAll(std::istream& stream) { return {std::istreambuf_iterator<char>(stream), {}}; }

int PrintLayout() {
  std::cout << "magic " << wire::kMagic << "\nversion " << wire::kVersion << "\nalignment " << wire::kAlignment
            << "\nmaximum_rank " << wire::kMaximumRank << "\nmaximum_tensors " << wire::kMaximumTensors
            << "\nmaximum_message " << wire::kMaximumMessage << "\nheader " << sizeof(wire::FrameHeader)
            << "\ndescriptor " << sizeof(wire::TensorDescriptor) << "\n";
  return 0;
}

int EchoJson() {
  try {
    std::cout << Json::Parse(ReadAll(std::cin)).Dump();
    return 0;
  } catch (const hitfabric::JsonError& error) {
    std::cout << error.what();
    return 1;
  }
}

// Checks the request frame in a file against a signature, as the backend checks what comes from a client.
int CheckRequest(const char* signature_path, const char* frame_path) {
  std::ifstream signature_file(signature_path);
  std::ifstream frame_file(frame_path, std::ios::binary);
  const std::string frame = ReadAll(frame_file);
  try {
    const auto signature = hitfabric::Signature::FromJson(Json::Parse(ReadAll(signature_file)));
    wire::FrameHeader header = {};
    std::memcpy(&header, frame.data(), sizeof(header));
    if (header.magic != wire::kMagic || header.tensor_count != signature.inputs.size()) return 2;
    hitfabric::Sizes sizes;
    std::vector<wire::TensorDescriptor> tensors(header.tensor_count);
    std::memcpy(tensors.data(), frame.data() + sizeof(header), tensors.size() * sizeof(tensors[0]));
    for (std::size_t input = 0; input < tensors.size(); ++input) {
      if (signature.inputs[input].optional && tensors[input].datatype == wire::kAbsent) continue;
      const hitfabric::Shape shape(tensors[input].dims, tensors[input].dims + tensors[input].rank);
      hitfabric::CheckShape(signature.inputs[input], tensors[input].datatype, shape, signature.limits, &sizes);
      if (hitfabric::TensorBytes(signature.inputs[input], shape) != tensors[input].bytes) return 2;
    }
    for (std::size_t input = 0; input < tensors.size(); ++input) {
      if (signature.inputs[input].optional && tensors[input].datatype == wire::kAbsent) continue;
      const hitfabric::Shape shape(tensors[input].dims, tensors[input].dims + tensors[input].rank);
      const auto* data = reinterpret_cast<const std::byte*>(frame.data()) + tensors[input].offset;
      hitfabric::CheckValues(signature.inputs[input], shape, data, sizes);
    }
    for (const auto& [symbol, size] : sizes) std::cout << symbol << "=" << size << "\n";
    return 0;
  } catch (const hitfabric::Failure& failure) {
    std::cout << failure.what();
    return 1;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::string mode = count > 1 ? arguments[1] : "";
  if (mode == "layout") return PrintLayout();
  if (mode == "json") return EchoJson();
  if (mode == "request" && count == 4) return CheckRequest(arguments[2], arguments[3]);
  return 2;
}
