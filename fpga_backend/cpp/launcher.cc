#include "launcher.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "status.h"
#include "unique_fd.h"

namespace hitfabric {
namespace {

// Above every number dup2 writes to below, so that neither duplicate can overwrite the other's source.
constexpr int kAboveChildDescriptors = 16;

class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_ = {};
};

class Attributes {
 public:
  Attributes() {
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    // The server's blocked and ignored signals are no business of the worker's.
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  posix_spawnattr_t* get() { return &attributes_; }

 private:
  posix_spawnattr_t attributes_ = {};
};

pid_t Spawn(LaunchSpec& spec) {
  const UniqueFd memory(fcntl(spec.memory, F_DUPFD_CLOEXEC, kAboveChildDescriptors));
  const UniqueFd socket(fcntl(spec.socket, F_DUPFD_CLOEXEC, kAboveChildDescriptors));
  FileActions actions;
  posix_spawn_file_actions_adddup2(actions.get(), memory.get(), kChildMemory);
  posix_spawn_file_actions_adddup2(actions.get(), socket.get(), kChildSocket);
  // The server's listening sockets are inheritable: a worker holding them would keep its ports busy.
  posix_spawn_file_actions_addclosefrom_np(actions.get(), kChildSocket + 1);
  std::vector<char*> arguments;
  arguments.reserve(spec.arguments.size() + 1);
  for (std::string& argument : spec.arguments) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  Attributes attributes;
  pid_t child = -1;
  const int error = posix_spawnp(&child, arguments.front(), actions.get(), attributes.get(), arguments.data(), environ);
  if (error != 0) {
    throw Failure(kUnavailable, "cannot start worker " + spec.arguments.front() + ": " + std::strerror(error));
  }
  return child;
}

}  // namespace

Launcher::Launcher() : thread_([this] { Serve(); }) {}

Launcher::~Launcher() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

pid_t Launcher::Launch(LaunchSpec spec) {
  std::packaged_task<pid_t()> task([&spec] { return Spawn(spec); });
  std::future<pid_t> child = task.get_future();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
  return child.get();
}

void Launcher::Serve() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    std::packaged_task<pid_t()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace hitfabric
