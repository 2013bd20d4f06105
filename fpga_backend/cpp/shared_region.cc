#include "shared_region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "status.h"

namespace hitfabric {
namespace {

constexpr std::uint64_t kInitialBytes = 1 << 16;

[[noreturn]] void FailSystem(const char* action) {
  throw Failure(kInternal, std::string("shared memory: ") + action + ": " + std::strerror(errno));
}

}  // namespace

SharedRegion::SharedRegion() : file_(memfd_create("hitfabric", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
  if (file_.get() < 0) FailSystem("memfd_create");
  if (fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) FailSystem("seal");
  Reserve(kInitialBytes);
}

SharedRegion::~SharedRegion() {
  if (base_ != nullptr) munmap(base_, size_);
}

void SharedRegion::Reserve(std::uint64_t bytes) {
  Refresh();
  if (bytes <= size_) return;
  // Half as much again, so that a slowly growing event size does not remap at every request.
  const std::uint64_t wanted = bytes > kInitialBytes ? bytes + bytes / 2 : bytes;
  if (ftruncate(file_.get(), static_cast<off_t>(wanted)) != 0) FailSystem("grow");
  Map(wanted);
}

void SharedRegion::Refresh() {
  struct stat status = {};
  if (fstat(file_.get(), &status) != 0) FailSystem("stat");
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  if (bytes > size_) Map(bytes);
}

void SharedRegion::Map(std::uint64_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (mapped == MAP_FAILED) FailSystem("map");
  if (base_ != nullptr) munmap(base_, size_);
  base_ = static_cast<std::byte*>(mapped);
  size_ = bytes;
}

std::byte* SharedRegion::Span(std::uint64_t offset, std::uint64_t bytes) const {
  if (offset > size_ || bytes > size_ - offset) {
    throw Failure(kInternal, "worker answered with a tensor outside the shared memory");
  }
  return base_ + offset;
}

}  // namespace hitfabric
