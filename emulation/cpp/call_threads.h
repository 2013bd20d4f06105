// Threads of one call: what they share of a phase, and how each begins.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace hitfabric {
namespace {

// Work of one phase, which threads take piece by piece. Nobody waits for a thread that has not begun, only for pieces
// that are being computed: on a busy machine a thread may come late, or find everything done.
class Pieces {
 public:
  explicit Pieces(std::int64_t total) : total_(total) {}

  // First of `count` pieces that are now the caller's; none are left where it is not below the total.
  std::int64_t take(std::int64_t count) { return next_.fetch_add(count, std::memory_order_relaxed); }

  void finish(std::int64_t count) {
    if (done_.fetch_add(count, std::memory_order_acq_rel) + count < total_) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    all_done_.notify_all();
  }

  void wait() {
    for (int turn = 0; turn < kTurns; ++turn) {
      if (complete()) return;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    all_done_.wait(lock, [&] { return complete(); });
  }

 private:
  static constexpr int kTurns = 4000;  // some microseconds

  bool complete() const { return done_.load(std::memory_order_acquire) >= total_; }

  std::int64_t total_;
  std::atomic<std::int64_t> next_{0}, done_{0};
  std::mutex mutex_;
  std::condition_variable all_done_;
};

// A thread that begins on another core than its creator. Left to itself, the system often starts it on the same one,
// and moves it only after some milliseconds, when small calls have ended.
class Helper {
 public:
  explicit Helper(std::function<void()> work) : work_(std::move(work)) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return;
    elsewhere(attributes);
    begun_ = pthread_create(&thread_, &attributes, run, this) == 0;
    pthread_attr_destroy(&attributes);
  }

  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  ~Helper() {
    if (begun_) pthread_join(thread_, nullptr);
  }

  bool begun() const { return begun_; }

 private:
  static void* run(void* self) {
    static_cast<Helper*>(self)->work_();
    return nullptr;
  }

  static void elsewhere(pthread_attr_t& attributes) {
#if defined(__GLIBC__)
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0 || CPU_COUNT(&cores) < 2) return;
    const int here = sched_getcpu();
    if (here >= 0) CPU_CLR(here, &cores);
    pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores);
#else
    (void)attributes;
#endif
  }

  std::function<void()> work_;
  pthread_t thread_{};
  bool begun_ = false;
};

}  // namespace
}  // namespace hitfabric
