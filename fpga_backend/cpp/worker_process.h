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
  std::chrono::milliseconds restart_wait{};
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

  // Waits for the first worker, which may have to compile its model.
  // Throws Failure(kUnavailable) when it has not loaded it within the start timeout.
  void AwaitFirst();

  // Memory of a live worker that has loaded its model; a dead one is replaced first.
  // Throws Failure(kUnavailable) when there is none yet `restart_wait` after it was started: clients are told so, and
  // may go elsewhere, while it goes on loading until the start timeout.
  SharedRegion& Ready();

  // What the worker said when it had loaded its model: its signature as JSON.
  [[nodiscard]] const std::string& announcement() const { return announcement_; }

  // Lets the worker execute the request frame at offset 0 and returns its answer.
  // Throws Failure: kUnavailable when it died or exceeded the batch timeout (its successor is already starting),
  // else what the worker itself reported.
  Answer Execute(std::uint64_t request_id, std::uint64_t response_offset);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Wait { kAnswered, kDied, kTimedOut };

  void Start();
  // Waits for the worker to load its model, at most until it was started `patience` ago.
  void AwaitStart(std::chrono::milliseconds patience);
  [[nodiscard]] bool Dead() const;
  // Waits for the worker's word on request `expected`; the first `spin` of the time without sleeping.
  [[nodiscard]] Wait Await(std::uint64_t expected, Clock::time_point deadline,
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
  Clock::time_point started_;
  bool ready_ = false;
};

}  // namespace hitfabric
