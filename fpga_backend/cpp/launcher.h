// Starts worker processes from one thread that lives as long as the backend.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace hitfabric {

// What to start: a command line, and the two descriptors the child finds as kChildMemory and kChildSocket.
struct LaunchSpec {
  std::vector<std::string> arguments;
  int memory = -1;
  int socket = -1;
};

constexpr int kChildMemory = 3;
constexpr int kChildSocket = 4;

// The kernel sends a worker its parent-death signal when the *thread* that started it ends, and the server starts
// and ends its loading threads as it pleases. Hence one thread, as old as the backend, starts them all.
class Launcher {
 public:
  Launcher();
  ~Launcher();
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  // Starts a process and returns its id; throws Failure when it cannot be started.
  pid_t Launch(LaunchSpec spec);

 private:
  void Serve();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::packaged_task<pid_t()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hitfabric
