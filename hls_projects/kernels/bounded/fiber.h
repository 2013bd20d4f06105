// A function with a stack of its own, which can be left in the middle and entered again: a cooperative fiber.

#ifndef HITFABRIC_FIBER_H_
#define HITFABRIC_FIBER_H_

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace hitfabric {

// Eight times the usual stack of a program, which must do for the plain C simulation. Only pages touched take memory.
static const size_t stack_bytes = size_t(64) << 20;

// Memory of a stack; the page below it is not accessible, so that an overflow faults instead of overwriting.
class Stack {
 public:
  Stack() : guard_(size_t(sysconf(_SC_PAGESIZE))) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    memory_ = mmap(nullptr, guard_ + stack_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory_ == MAP_FAILED) throw std::runtime_error("no address space for the stacks of the dataflow processes");
    if (mprotect(memory_, guard_, PROT_NONE) != 0) {
      munmap(memory_, guard_ + stack_bytes);
      throw std::runtime_error("the stack of a dataflow process cannot be guarded");
    }
  }
  ~Stack() { munmap(memory_, guard_ + stack_bytes); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  void* bottom() const { return static_cast<char*>(memory_) + guard_; }

 private:
  size_t guard_;
  void* memory_;
};

// Stacks given back, for the next fibers of the same thread: mapping anew costs page faults.
class StackPool {
 public:
  static StackPool& here() {
    static thread_local StackPool pool;
    return pool;
  }
  std::unique_ptr<Stack> take() {
    if (free_.empty()) return std::unique_ptr<Stack>(new Stack);
    std::unique_ptr<Stack> stack = std::move(free_.back());
    free_.pop_back();
    return stack;
  }
  void give(std::unique_ptr<Stack> stack) { free_.push_back(std::move(stack)); }

 private:
  std::vector<std::unique_ptr<Stack>> free_;
};

class Fiber {
 public:
  explicit Fiber(std::function<void()> work) : work_(std::move(work)), stack_(StackPool::here().take()) {
    if (getcontext(&inside_) != 0) throw std::runtime_error("getcontext failed");
    inside_.uc_stack.ss_sp = stack_->bottom();
    inside_.uc_stack.ss_size = stack_bytes;
    inside_.uc_link = nullptr;
    const uintptr_t self = reinterpret_cast<uintptr_t>(this);
    makecontext(&inside_, reinterpret_cast<void (*)()>(&Fiber::enter), 2, unsigned(self >> 32), unsigned(self));
  }
  // The work has ended, or never began: whoever owns a fiber cancels it first.
  ~Fiber() { StackPool::here().give(std::move(stack_)); }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  bool done() const { return done_; }
  bool started() const { return started_; }

  // From outside: run until the work leaves or ends. Throws what the work threw: nothing is thrown across stacks.
  void resume() {
    started_ = true;
    switch_stacks(outside_, inside_, &outside_fake_, stack_->bottom(), stack_bytes);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  // From inside: go back to whoever resumed.
  void leave() { switch_stacks(inside_, outside_, &inside_fake_, outer_bottom_, outer_bytes_); }

 private:
  static void enter(unsigned high, unsigned low) {
    Fiber* self = reinterpret_cast<Fiber*>((uintptr_t(high) << 32) | low);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &self->outer_bottom_, &self->outer_bytes_);
#endif
    try {
      self->work_();
    } catch (...) {
      self->error_ = std::current_exception();
    }
    self->done_ = true;
    self->switch_stacks(self->inside_, self->outside_, nullptr, self->outer_bottom_, self->outer_bytes_);
  }

  // The address sanitizer is told of the switch; `fake` is where it keeps what belongs to the stack left.
  void switch_stacks(ucontext_t& from, ucontext_t& to, void** fake, const void* bottom, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fake, bottom, bytes);
    swapcontext(&from, &to);
    if (&from == &outside_)
      __sanitizer_finish_switch_fiber(outside_fake_, nullptr, nullptr);
    else
      __sanitizer_finish_switch_fiber(inside_fake_, &outer_bottom_, &outer_bytes_);
#else
    (void)fake, (void)bottom, (void)bytes;
    swapcontext(&from, &to);
#endif
  }

  std::function<void()> work_;
  std::unique_ptr<Stack> stack_;
  ucontext_t inside_{}, outside_{};
  void *inside_fake_ = nullptr, *outside_fake_ = nullptr;
  const void* outer_bottom_ = nullptr;
  size_t outer_bytes_ = 0;
  std::exception_ptr error_;
  bool done_ = false, started_ = false;
};

}  // namespace hitfabric

#endif
