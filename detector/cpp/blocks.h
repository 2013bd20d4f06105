// Work in numbered blocks over a few threads; what a block computes must not depend on who computes it.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace hitfabric {

// Calls work(block) once for each block from 0 to blocks - 1, and throws the first exception of any of them.
template <typename Work>
void for_blocks(std::int64_t blocks, int threads, const Work& work) {
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::mutex failing;
  const auto run = [&]() noexcept {
    try {
      for (std::int64_t block = next++; block < blocks; block = next++) work(block);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failing);
      if (!failure) failure = std::current_exception();
      next = blocks;
    }
  };
  std::vector<std::thread> helpers;
  helpers.reserve(static_cast<std::size_t>(std::max(threads, 1)));
  try {
    for (std::int64_t extra = std::min<std::int64_t>(threads, blocks) - 1; extra > 0; --extra)
      helpers.emplace_back(run);
  } catch (const std::exception&) {
    // The system gives no more threads: those there are do the work.
  }
  run();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

// Block `block` of `blocks` equal parts of a range of `size`: its first index.
inline std::int64_t part_start(std::int64_t size, std::int64_t blocks, std::int64_t block) {
  return size * block / blocks;
}

}  // namespace hitfabric
