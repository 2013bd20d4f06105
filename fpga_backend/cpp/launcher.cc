#include "launcher.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "status.h"
#include "unique_fd.h"

namespace hitfabric {
namespace {

// Above every number dup2 writes to below, so that neither duplicate can overwrite the other's source.
constexpr int kAboveChildDescriptors = 16;

struct Child {
  char* const* arguments;
  int memory;
  int socket;
  pid_t parent;
};

// Turns the child of a vfork into the worker; returns the error that prevents it. The child shares the parent's memory:
// system calls only.
int Become(const Child& child) {
  // From the first moment on: a worker that is stopped while it starts must not outlive a server that is killed.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  if (getppid() != child.parent) return ESRCH;  // the server ended before the line above
  // The server's blocked and ignored signals are no business of the worker's.
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (dup2(child.memory, kChildMemory) < 0 || dup2(child.socket, kChildSocket) < 0) return errno;
  // The server's listening sockets are inheritable: a worker holding them would keep its ports busy.
  if (close_range(kChildSocket + 1, ~0U, 0) != 0) return errno;
  execvp(child.arguments[0], child.arguments);
  return errno;
}

// Blocks every signal of this thread as long as it lives, so that none of the server's handlers runs in the child.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_ = {};
};

pid_t Spawn(LaunchSpec& spec) {
  const UniqueFd memory(fcntl(spec.memory, F_DUPFD_CLOEXEC, kAboveChildDescriptors));
  const UniqueFd socket(fcntl(spec.socket, F_DUPFD_CLOEXEC, kAboveChildDescriptors));
  std::vector<char*> arguments;
  arguments.reserve(spec.arguments.size() + 1);
  for (std::string& argument : spec.arguments) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const Child child = {arguments.data(), memory.get(), socket.get(), getpid()};
  volatile int error = 0;  // written by the child, in this memory
  const SignalsBlocked blocked;
  const pid_t process = vfork();
  if (process == 0) {
    error = Become(child);
    _exit(127);
  }
  if (process < 0) error = errno;
  if (error != 0) {
    if (process > 0) waitpid(process, nullptr, 0);
    throw Failure(kUnavailable, "cannot start worker " + spec.arguments.front() + ": " + std::strerror(error));
  }
  return process;
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
