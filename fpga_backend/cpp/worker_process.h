// One supervised worker process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher.h"
#include "shared_region.h"
#include "unique_fd.h"
#include "wire.h"

namespace hitfabric {

struct WorkerOptions {
  std::vector<std::string> command;  // without the two descriptors, which are added
  std::string label;                 // for messages
  std::chrono::milliseconds start_timeout{};
  std::chrono::milliseconds batch_timeout{};
};

// What a worker answered.
struct Answer {
  std::vector<wire::TensorDescriptor> tensors;
  std::string message;  // of the announcement: the worker's signature as JSON
  std::chrono::nanoseconds device_time{};
  std::uint32_t checked = 0;
  std::uint32_t mismatched = 0;
};

// Starts the worker, hands it batches, and replaces it when it dies or does not answer in time. A failure touches
// only the batch being executed; the server and the other instances never notice. Used by one thread at a time.
class WorkerProcess {
 public:
  WorkerProcess(Launcher* launcher, WorkerOptions options, std::function<void()> on_restart);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  // Memory of a live worker that has loaded its model; a dead one is replaced first.
  // Throws Failure(kUnavailable) when no worker can be had within the start timeout.
  SharedRegion& Ready();

  // What the worker said when it had loaded its model: its signature as JSON. Call Ready first.
  [[nodiscard]] const std::string& announcement() const { return announcement_; }

  // Lets the worker execute the request frame at offset 0 and returns its answer.
  // Throws Failure: kUnavailable when it died or exceeded the batch timeout (its successor is already starting),
  // else what the worker itself reported.
  Answer Execute(std::uint64_t request_id, std::uint64_t response_offset);

 private:
  enum class Wait { kAnswered, kDied, kTimedOut };

  void Start();
  [[nodiscard]] bool Dead() const;
  // Waits for the worker's word on request `expected`; the first `spin` of the time without sleeping.
  [[nodiscard]] Wait Await(std::uint64_t expected, std::chrono::milliseconds timeout,
                           std::chrono::microseconds spin = {}) const;
  [[nodiscard]] Answer ReadResponse(std::uint64_t request_id, std::uint64_t offset);
  std::string Kill();
  [[noreturn]] void Replace(const std::string& reason);

  Launcher* launcher_;
  WorkerOptions options_;
  std::function<void()> on_restart_;
  std::unique_ptr<SharedRegion> region_;
  UniqueFd socket_;
  std::string announcement_;
  bool answers_soon_ = false;  // whether the last batch was answered within the time of spinning
  pid_t process_ = -1;
  bool ready_ = false;
};

}  // namespace hitfabric
