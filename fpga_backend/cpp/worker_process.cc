#include "worker_process.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include "status.h"

namespace hitfabric {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kGraceAtExit{500};  // between closing the worker's socket and killing it
constexpr milliseconds kPollInterval{5};
// Waking a sleeping thread takes about as long as a small batch, and a tenth of a small event: a worker that answers
// within this time is waited for without sleeping.
constexpr std::chrono::microseconds kSpin{700};

std::string Describe(int status) {
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

WorkerProcess::WorkerProcess(Launcher* launcher, WorkerOptions options, std::function<void()> on_restart)
    : launcher_(launcher), options_(std::move(options)), on_restart_(std::move(on_restart)) {
  Start();
}

WorkerProcess::~WorkerProcess() {
  if (process_ < 0) return;
  shutdown(socket_.get(), SHUT_RDWR);  // an idle worker reads end-of-file and leaves by itself
  const auto deadline = Clock::now() + kGraceAtExit;
  while (Clock::now() < deadline) {
    if (waitpid(process_, nullptr, WNOHANG) == process_) return;
    std::this_thread::sleep_for(kPollInterval);
  }
  Kill();
}

void WorkerProcess::AwaitFirst() { AwaitStart(options_.start_timeout); }

SharedRegion& WorkerProcess::Ready() {
  if (process_ >= 0 && Dead()) {
    Log(kLogWarning, options_.label + ": worker ended while idle (" + Kill() + "), starting another");
    on_restart_();
  }
  if (process_ < 0) Start();
  if (!ready_) AwaitStart(options_.restart_wait);
  return *region_;
}

void WorkerProcess::AwaitStart(milliseconds patience) {
  const Wait wait = Await(0, started_ + std::min(patience, options_.start_timeout));
  if (wait == Wait::kTimedOut && Clock::now() < started_ + options_.start_timeout) {
    throw Failure(kUnavailable, options_.label + ": worker is still starting after " +
                                    std::to_string(patience.count()) + " ms, try again later");
  }
  if (wait != Wait::kAnswered) {
    const std::string end = Kill();
    throw Failure(kUnavailable, options_.label + ": worker did not start (" +
                                    (wait == Wait::kDied ? end : "start timeout exceeded") + ", see the server log)");
  }
  try {
    announcement_ = ReadResponse(0, 0).message;
  } catch (const Failure& failure) {
    Kill();
    throw Failure(kUnavailable, options_.label + ": worker cannot serve: " + failure.what());
  }
  ready_ = true;
}

Answer WorkerProcess::Execute(std::uint64_t request_id, std::uint64_t response_offset) {
  const ssize_t sent = send(socket_.get(), &request_id, sizeof(request_id), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(sizeof(request_id))) Replace("died before executing this batch");
  const auto begin = Clock::now();
  const Wait wait =
      Await(request_id, begin + options_.batch_timeout, answers_soon_ ? kSpin : std::chrono::microseconds::zero());
  answers_soon_ = Clock::now() - begin < kSpin;
  switch (wait) {
    case Wait::kDied:
      Replace("died while executing this batch");
    case Wait::kTimedOut:
      Replace("did not answer within worker_timeout_ms = " + std::to_string(options_.batch_timeout.count()));
    case Wait::kAnswered:
      break;
  }
  return ReadResponse(request_id, response_offset);
}

void WorkerProcess::Start() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    throw Failure(kUnavailable, options_.label + ": socketpair: " + std::strerror(errno));
  }
  socket_ = UniqueFd(pair[0]);
  const UniqueFd child_socket(pair[1]);
  region_ = std::make_unique<SharedRegion>();  // nothing of a dead worker's memory is reused
  LaunchSpec spec;
  spec.arguments = options_.command;
  for (const char* argument : {"--memory", "3", "--socket", "4"}) spec.arguments.emplace_back(argument);
  static_assert(kChildMemory == 3 && kChildSocket == 4, "the arguments above name these descriptors");
  spec.memory = region_->descriptor();
  spec.socket = child_socket.get();
  process_ = launcher_->Launch(std::move(spec));
  started_ = Clock::now();
  ready_ = false;
}

bool WorkerProcess::Dead() const {
  pollfd entry = {socket_.get(), 0, 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

WorkerProcess::Wait WorkerProcess::Await(std::uint64_t expected, Clock::time_point deadline,
                                         std::chrono::microseconds spin) const {
  const auto begin = Clock::now();
  while (true) {
    std::uint64_t answered = 0;
    const ssize_t got = recv(socket_.get(), &answered, sizeof(answered), MSG_DONTWAIT);
    if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
      // A worker that answers out of turn is as good as dead: nothing it says can be trusted.
      return got == static_cast<ssize_t>(sizeof(answered)) && answered == expected ? Wait::kAnswered : Wait::kDied;
    }
    const auto now = Clock::now();
    if (now - begin < spin) {
      sched_yield();  // whoever else has something to do comes first
      continue;
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline - now);
    if (left.count() <= 0) return Wait::kTimedOut;
    pollfd entry = {socket_.get(), POLLIN, 0};
    poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 1 << 30)));
  }
}

Answer WorkerProcess::ReadResponse(std::uint64_t request_id, std::uint64_t offset) {
  region_->Refresh();
  wire::FrameHeader header = {};
  std::memcpy(&header, region_->Span(offset, sizeof(header)), sizeof(header));
  if (header.magic != wire::kMagic || header.version != wire::kVersion || header.request_id != request_id ||
      header.tensor_count > wire::kMaximumTensors) {
    throw Failure(kInternal, "worker answered with a malformed frame (is it of another hitfabric version?)");
  }
  const std::uint64_t text_bytes = std::min<std::uint64_t>(header.message_bytes, wire::kMaximumMessage);
  std::string text(reinterpret_cast<const char*>(region_->Span(header.message_offset, text_bytes)), text_bytes);
  if (header.status != wire::kDone) {
    throw Failure(header.status == wire::kInvalid ? kInvalidArgument : kInternal, std::move(text));
  }
  Answer answer;
  answer.message = std::move(text);
  answer.device_time = std::chrono::nanoseconds(header.device_nanoseconds);
  answer.checked = header.checked;
  answer.mismatched = header.mismatched;
  answer.tensors.resize(header.tensor_count);
  const std::uint64_t bytes = answer.tensors.size() * sizeof(wire::TensorDescriptor);
  if (bytes > 0) std::memcpy(answer.tensors.data(), region_->Span(offset + sizeof(header), bytes), bytes);
  return answer;
}

std::string WorkerProcess::Kill() {
  if (process_ < 0) return "not running";
  kill(process_, SIGKILL);
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) continue;
  process_ = -1;
  ready_ = false;
  return Describe(status);
}

void WorkerProcess::Replace(const std::string& reason) {
  const std::string end = Kill();
  const std::string message = options_.label + ": worker " + reason + " (" + end + "), restarted";
  Log(kLogError, message);
  on_restart_();
  try {
    Start();  // the next batch waits for it to be ready
  } catch (const Failure& failure) {
    Log(kLogError, options_.label + ": " + failure.what());
  }
  throw Failure(kUnavailable, message);
}

}  // namespace hitfabric
