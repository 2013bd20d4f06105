#include <algorithm>
#include <chrono>
#include <cstring>

#include "model.h"

namespace hitfabric {
namespace {

Shape ResolvedShape(const TensorSpec& spec, const Sizes& sizes) {
  Shape shape;
  for (const Dimension& dimension : spec.shape) {
    const auto found = sizes.find(dimension.symbol);
    shape.push_back(dimension.symbol.empty() ? dimension.size : found == sizes.end() ? 0 : found->second);
  }
  return shape;
}

wire::TensorDescriptor Describe(const TensorSpec& spec, const Shape& shape, std::uint64_t offset) {
  wire::TensorDescriptor tensor = {};
  tensor.datatype = spec.datatype;
  tensor.rank = static_cast<std::uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), tensor.dims);
  tensor.offset = offset;
  tensor.bytes = TensorBytes(spec, shape);
  return tensor;
}

// Runs `action`; its failure becomes that of every request that has none of its own yet.
template <typename Action>
void FailEach(const std::vector<Request*>& group, Action&& action) {
  const auto fail = [&group](const Failure& failure) {
    for (Request* request : group) {
      if (!request->failed()) request->Fail(failure);
    }
  };
  try {
    action();
  } catch (const Failure& failure) {
    fail(failure);
  } catch (const std::exception& error) {
    fail(Failure(kInternal, error.what()));
  }
}

}  // namespace

Instance::Instance(const Model* model, const std::string& name)
    : model_(model),
      inferences_(model->backend()->metrics.inferences, model->name(), model->version(), name),
      rows_(model->backend()->metrics.rows, model->name(), model->version(), name),
      device_seconds_(model->backend()->metrics.device_seconds, model->name(), model->version(), name),
      restarts_(model->backend()->metrics.restarts, model->name(), model->version(), name),
      checks_(model->backend()->metrics.checks, model->name(), model->version(), name),
      mismatches_(model->backend()->metrics.mismatches, model->name(), model->version(), name),
      queue_depth_(model->backend()->metrics.queue_depth, model->name(), model->version(), name),
      worker_(&model->backend()->launcher, model->worker_options(name), [this] { restarts_.Add(1); }) {
  worker_.AwaitFirst();  // a model that cannot be loaded must not become ready
}

void Instance::Execute(TRITONBACKEND_ModelInstance* handle, TRITONBACKEND_Request** requests, std::uint32_t count) {
  Times times;
  times.start = Now();
  times.compute_start = times.compute_end = times.start;
  queue_depth_.Add(count);
  std::vector<Request> pending;
  pending.reserve(count);
  std::vector<Group> groups;
  for (std::uint32_t index = 0; index < count; ++index) {
    Request& request = pending.emplace_back(requests[index]);
    FailEach({&request}, [&] { request.Read(model_->signature()); });
    if (request.failed()) continue;
    if (groups.empty() || !model_->signature().batched()) groups.emplace_back();
    groups.back().push_back(&request);
  }
  std::uint64_t batch_size = 0;
  for (const Group& group : groups) {
    RunGroup(group, &times);
    batch_size += model_->signature().batched() ? static_cast<std::uint64_t>(TotalRows(group)) : 1;
  }
  const std::uint64_t end = Now();
  for (Request& request : pending) {
    if (!request.failed()) {
      inferences_.Add(1);
      rows_.Add(static_cast<double>(request.rows()));
    }
    request.Finish(handle, times);
    queue_depth_.Add(-1);
  }
  Ignore(TRITONBACKEND_ModelInstanceReportBatchStatistics(handle, std::max<std::uint64_t>(batch_size, 1), times.start,
                                                          times.compute_start, times.compute_end, end));
}

void Instance::RunGroup(const Group& group, Times* times) {
  try {
    RunBatch(group, times);
  } catch (const Failure& failure) {
    if (failure.code() == kInvalidArgument && group.size() > 1) {
      for (Request* request : group) {
        if (!request->failed()) RunGroup({request}, times);
      }
      return;
    }
    FailEach(group, [&failure] { throw failure; });
  } catch (const std::exception& error) {
    FailEach(group, [&error] { throw Failure(kInternal, error.what()); });
  }
}

void Instance::RunBatch(const Group& group, Times* times) {
  SharedRegion& region = worker_.Ready();
  std::uint64_t response_offset = 0;
  const Group accepted = WriteFrame(group, &region, &response_offset);
  if (accepted.empty()) return;
  const std::uint64_t begin = Now();
  const Answer answer = worker_.Execute(next_id_++, response_offset);
  times->compute_end = Now();
  if (times->compute_start == times->start) times->compute_start = begin;
  device_seconds_.Add(std::chrono::duration<double>(answer.device_time).count());
  checks_.Add(answer.checked);
  mismatches_.Add(answer.mismatched);
  SplitOutputs(accepted, answer.tensors, region);
}

Instance::Group Instance::WriteFrame(const Group& group, SharedRegion* region, std::uint64_t* response_offset) {
  const Signature& signature = model_->signature();
  std::uint64_t end = sizeof(wire::FrameHeader) + signature.inputs.size() * sizeof(wire::TensorDescriptor);
  std::vector<std::uint64_t> offsets;
  for (std::size_t input = 0; input < signature.inputs.size(); ++input) {
    offsets.push_back(wire::Align(end));
    end = offsets.back();
    for (const Request* request : group) end += request->bytes(input);
  }
  *response_offset = wire::Align(end);
  Sizes sizes = group.front()->sizes();
  if (signature.batched()) sizes["R"] = TotalRows(group);
  end = *response_offset + sizeof(wire::FrameHeader);
  for (const TensorSpec& spec : signature.outputs) {
    end = wire::Align(end + sizeof(wire::TensorDescriptor)) + TensorBytes(spec, ResolvedShape(spec, sizes));
  }
  region->Reserve(wire::Align(end));

  Group accepted;
  std::vector<std::uint64_t> cursors = offsets;
  for (Request* request : group) {
    FailEach({request}, [&] {
      request->CheckCancelled();
      for (std::size_t input = 0; input < signature.inputs.size(); ++input) {
        if (request->absent(input)) continue;
        std::byte* destination = region->Span(cursors[input], request->bytes(input));
        request->CopyInput(input, destination);
        CheckValues(signature.inputs[input], request->shape(input), destination, request->sizes());
      }
    });
    if (request->failed()) continue;
    for (std::size_t input = 0; input < cursors.size(); ++input) cursors[input] += request->bytes(input);
    accepted.push_back(request);
  }
  if (accepted.empty()) return accepted;

  sizes = accepted.front()->sizes();
  if (signature.batched()) sizes["R"] = TotalRows(accepted);
  wire::FrameHeader header = {};
  header.magic = wire::kMagic;
  header.version = wire::kVersion;
  header.request_id = next_id_;
  header.status = wire::kRequest;
  header.tensor_count = static_cast<std::uint32_t>(signature.inputs.size());
  header.response_offset = *response_offset;
  for (const Request* request : accepted) header.wanted |= request->wanted();
  std::memcpy(region->data(), &header, sizeof(header));
  for (std::size_t input = 0; input < offsets.size(); ++input) {
    const TensorSpec& spec = signature.inputs[input];
    const bool absent = accepted.front()->absent(input);  // only a request that comes alone may leave one out
    const wire::TensorDescriptor tensor =
        absent ? wire::TensorDescriptor{} : Describe(spec, ResolvedShape(spec, sizes), offsets[input]);
    std::memcpy(region->data() + sizeof(header) + input * sizeof(tensor), &tensor, sizeof(tensor));
  }
  return accepted;
}

void Instance::SplitOutputs(const Group& group, const std::vector<wire::TensorDescriptor>& tensors,
                            const SharedRegion& region) {
  const Signature& signature = model_->signature();
  for (Request* request : group) FailEach({request}, [request] { request->CheckCancelled(); });
  if (tensors.size() != signature.outputs.size()) throw Failure(kInternal, "worker answered too few or many tensors");
  Sizes sizes = group.front()->sizes();
  if (signature.batched()) sizes["R"] = TotalRows(group);
  for (std::size_t output = 0; output < tensors.size(); ++output) {
    const TensorSpec& spec = signature.outputs[output];
    const wire::TensorDescriptor& tensor = tensors[output];
    if (tensor.datatype == wire::kAbsent) continue;
    if (tensor.rank > wire::kMaximumRank) throw Failure(kInternal, "worker answered a tensor of unknown rank");
    Shape shape(tensor.dims, tensor.dims + tensor.rank);
    try {
      CheckShape(spec, tensor.datatype, shape, {}, &sizes);
      if (tensor.bytes != TensorBytes(spec, shape)) throw Failure(kInternal, "byte count differs from the shape");
    } catch (const Failure& failure) {
      throw Failure(kInternal, std::string("worker's answer: ") + failure.what());
    }
    const std::byte* source = region.Span(tensor.offset, tensor.bytes);
    for (Request* request : group) {
      if (signature.batched()) shape.front() = request->rows();
      if ((request->wanted() >> output & 1) != 0 && !request->failed()) {
        FailEach({request}, [&] { request->AddOutput(spec, shape, source); });
      }
      source += TensorBytes(spec, shape);
    }
  }
}

std::int64_t Instance::TotalRows(const Group& group) const {
  std::int64_t rows = 0;
  for (const Request* request : group) rows += request->rows();
  return rows;
}

}  // namespace hitfabric
