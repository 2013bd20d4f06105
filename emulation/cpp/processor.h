// Which instruction sets this processor has and lets this process use.
#pragma once

#include <cstring>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

// Tests emulate the AMX instructions.
#if defined(HITFABRIC_EMULATED_TILES)
#define HITFABRIC_AMX_HERE true
#else
#define HITFABRIC_AMX_HERE amx_granted()
#endif

namespace hitfabric {
namespace {

#if defined(__x86_64__) && defined(__linux__)
// AMX registers are large: the kernel gives them to processes that ask.
bool amx_granted() {
  constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kTile) == 0 || (d & kInt8) == 0) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#else
bool amx_granted() { return false; }
#endif

bool in_processor(const char* instructions) {
  const auto is = [&](const char* name) { return std::strcmp(instructions, name) == 0; };
#if defined(__x86_64__)
  if (is("amx")) {
    static const bool granted = HITFABRIC_AMX_HERE;
    return granted && in_processor("avx512vnni");
  }
  if (is("avx512vnni")) {
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd");
  }
  if (is("avx2")) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  }
#endif
  return is("plain");
}

}  // namespace
}  // namespace hitfabric
