// Failures as exceptions inside the backend, as Triton errors at its border.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "triton_abi.h"

namespace hitfabric {

// A failure with the code Triton reports to the client.
class Failure : public std::exception {
 public:
  Failure(TritonCode code, std::string message) : code_(code), message_(std::move(message)) {}
  [[nodiscard]] TritonCode code() const noexcept { return code_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  TritonCode code_;
  std::string message_;
};

// Throws Failure with the code and message of `error`, and frees it; returns when it is null.
inline void Check(TRITONSERVER_Error* error) {
  if (error == nullptr) return;
  const Failure failure(static_cast<TritonCode>(TRITONSERVER_ErrorCode(error)), TRITONSERVER_ErrorMessage(error));
  TRITONSERVER_ErrorDelete(error);
  throw failure;
}

// Frees an error that cannot be acted on (in destructors, and where the server itself keeps the record).
inline void Ignore(TRITONSERVER_Error* error) noexcept {
  if (error != nullptr) TRITONSERVER_ErrorDelete(error);
}

inline void Log(TritonLogLevel level, const std::string& message) noexcept {
  Ignore(TRITONSERVER_LogMessage(level, "hitfabric", 0, message.c_str()));
}

// Runs `body`; no exception may cross into the server, which is another library's C code.
template <typename Body>
TRITONSERVER_Error* Guarded(Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return nullptr;
  } catch (const Failure& failure) {
    return TRITONSERVER_ErrorNew(failure.code(), failure.what());
  } catch (const std::exception& error) {
    return TRITONSERVER_ErrorNew(kInternal, error.what());
  }
}

}  // namespace hitfabric
