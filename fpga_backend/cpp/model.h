// A served model and its instances.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher.h"
#include "metrics.h"
#include "request.h"
#include "signature.h"
#include "triton_abi.h"
#include "worker_process.h"

namespace hitfabric {

// State of the backend: as old as the loaded library.
struct Backend {
  Launcher launcher;
  MetricFamilies metrics;
};

// What configuration and signature say; shared by the instances.
class Model {
 public:
  // Reads signature and configuration, completes the configuration where the server asks for it; throws Failure.
  Model(TRITONBACKEND_Model* handle, Backend* backend);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t version() const { return version_; }
  [[nodiscard]] const Signature& signature() const { return signature_; }
  [[nodiscard]] Backend* backend() const { return backend_; }
  [[nodiscard]] WorkerOptions worker_options(const std::string& label) const;

 private:
  // Of the file beside the model, or from a worker that has loaded it.
  [[nodiscard]] Signature ReadSignature(const std::string& directory) const;

  Backend* backend_;
  std::string name_;
  std::uint64_t version_ = 0;
  Signature signature_;
  WorkerOptions worker_;
};

// One instance: a worker process and the batches it executes. The server calls an instance from one thread.
class Instance {
 public:
  Instance(const Model* model, const std::string& name);

  // Executes and answers every request; failures go to the requests they concern.
  void Execute(TRITONBACKEND_ModelInstance* handle, TRITONBACKEND_Request** requests, std::uint32_t count);

 private:
  using Group = std::vector<Request*>;

  // Executes requests as one batch; isolates the culprit when the worker refuses a batch of several.
  void RunGroup(const Group& group, Times* times);
  void RunBatch(const Group& group, Times* times);
  // Writes the request frame. Returns the requests in it (a request with bad values is failed and left out), and
  // where the response goes.
  Group WriteFrame(const Group& group, SharedRegion* region, std::uint64_t* response_offset);
  void SplitOutputs(const Group& group, const std::vector<wire::TensorDescriptor>& tensors, const SharedRegion& region);
  [[nodiscard]] std::int64_t TotalRows(const Group& group) const;

  const Model* model_;
  Metric inferences_;
  Metric rows_;
  Metric device_seconds_;
  Metric restarts_;
  Metric checks_;
  Metric mismatches_;
  Metric queue_depth_;
  WorkerProcess worker_;
  std::uint64_t next_id_ = 1;
};

}  // namespace hitfabric
