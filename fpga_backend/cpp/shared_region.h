// A growing piece of memory shared with a worker process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "unique_fd.h"
#include "wire.h"

namespace hitfabric {

// A memfd and its mapping. The file is sealed against shrinking: a worker that misbehaves can scribble over the
// payload of its own batch, but cannot make an access of the server fault.
class SharedRegion {
 public:
  SharedRegion();
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  // Makes the file and the mapping at least `bytes` long. Pointers taken before are invalid afterwards.
  void Reserve(std::uint64_t bytes);
  // Maps what the worker has added to the file.
  void Refresh();

  [[nodiscard]] int descriptor() const { return file_.get(); }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::byte* data() const { return base_; }
  // Start of `bytes` bytes at `offset`; throws Failure when they do not lie inside the region.
  [[nodiscard]] std::byte* Span(std::uint64_t offset, std::uint64_t bytes) const;

 private:
  void Map(std::uint64_t bytes);

  UniqueFd file_;
  std::byte* base_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace hitfabric
