// The entry points Triton looks up in libtriton_hitfabric.so.
#include <memory>
#include <string>

#include "model.h"
#include "status.h"
#include "triton_abi.h"

namespace {

using hitfabric::Backend;
using hitfabric::Check;
using hitfabric::Failure;
using hitfabric::Guarded;
using hitfabric::Instance;
using hitfabric::Model;

// The server keeps our state as void pointers: ownership is released to it at the end of each Initialize and taken
// back in the matching Finalize.
template <typename State, typename Handle>
State* StateOf(TRITONSERVER_Error* (*getter)(Handle*, void**), Handle* handle) {
  void* state = nullptr;
  Check(getter(handle, &state));
  return static_cast<State*>(state);
}

template <typename State, typename Handle>
void Store(TRITONSERVER_Error* (*setter)(Handle*, void*), Handle* handle, std::unique_ptr<State> state) {
  Check(setter(handle, state.get()));
  static_cast<void>(state.release());
}

template <typename State, typename Handle>
TRITONSERVER_Error* Destroy(TRITONSERVER_Error* (*getter)(Handle*, void**), Handle* handle) noexcept {
  return Guarded([&] { std::unique_ptr<State>(StateOf<State>(getter, handle)).reset(); });
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

TRITONSERVER_Error* TRITONBACKEND_Initialize(TRITONBACKEND_Backend* backend) {
  return Guarded([&] {
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    Check(TRITONBACKEND_ApiVersion(&major, &minor));
    const std::string found = std::to_string(major) + "." + std::to_string(minor);
    if (major != kTritonApiMajor || minor < kTritonApiMinimumMinor) {
      throw Failure(kUnsupported, "hitfabric needs the backend API " + std::to_string(kTritonApiMajor) + "." +
                                      std::to_string(kTritonApiMinimumMinor) + " or later, this server has " + found);
    }
    hitfabric::Log(kLogInfo, "backend API " + found);
    Store(TRITONBACKEND_BackendSetState, backend, std::make_unique<Backend>());
  });
}

TRITONSERVER_Error* TRITONBACKEND_GetBackendAttribute(TRITONBACKEND_Backend*,
                                                      TRITONBACKEND_BackendAttribute* attribute) {
  // Loading an instance is mostly waiting for its worker to start.
  return TRITONBACKEND_BackendAttributeSetParallelModelInstanceLoading(attribute, true);
}

TRITONSERVER_Error* TRITONBACKEND_Finalize(TRITONBACKEND_Backend* backend) {
  return Destroy<Backend>(TRITONBACKEND_BackendState, backend);
}

TRITONSERVER_Error* TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model* model) {
  return Guarded([&] {
    TRITONBACKEND_Backend* backend = nullptr;
    Check(TRITONBACKEND_ModelBackend(model, &backend));
    auto* state = StateOf<Backend>(TRITONBACKEND_BackendState, backend);
    Store(TRITONBACKEND_ModelSetState, model, std::make_unique<Model>(model, state));
  });
}

TRITONSERVER_Error* TRITONBACKEND_ModelFinalize(TRITONBACKEND_Model* model) {
  return Destroy<Model>(TRITONBACKEND_ModelState, model);
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance* instance) {
  return Guarded([&] {
    TRITONBACKEND_Model* model = nullptr;
    const char* name = nullptr;
    Check(TRITONBACKEND_ModelInstanceModel(instance, &model));
    Check(TRITONBACKEND_ModelInstanceName(instance, &name));
    const auto* state = StateOf<Model>(TRITONBACKEND_ModelState, model);
    Store(TRITONBACKEND_ModelInstanceSetState, instance, std::make_unique<Instance>(state, name));
  });
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance* instance) {
  return Destroy<Instance>(TRITONBACKEND_ModelInstanceState, instance);
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceExecute(TRITONBACKEND_ModelInstance* instance,
                                                       TRITONBACKEND_Request** requests, const std::uint32_t count) {
  return Guarded(
      [&] { StateOf<Instance>(TRITONBACKEND_ModelInstanceState, instance)->Execute(instance, requests, count); });
}

}  // extern "C"
#pragma GCC visibility pop
