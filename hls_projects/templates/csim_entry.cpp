// Plain C entry of the C simulation of ${project}: many rows or graphs per call, and every visible node.
// Written by hitfabric; not synthesised. The firmware is included, so that there is one translation unit to compile.

#include "firmware/${project}.cpp"

#include <cstdint>

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = nullptr;
size_t trace_type_size = sizeof(double);
} // namespace nnet

// inputs, outputs, traced: one array per tensor, `count` rows or graphs one after the other, values as doubles.
// traced: the arrays of ${traced_count} traced layers, or null to leave tracing off.
extern "C" __attribute__((visibility("default"))) void
hitfabric_csim(const double *const *inputs, double *const *outputs, double *const *traced, int64_t count) {
    std::map<std::string, void *> targets;
    nnet::trace_enabled = traced != nullptr;
    nnet::trace_outputs = traced != nullptr ? &targets : nullptr;
    for (int64_t i = 0; i < count; i++) {
        if (traced != nullptr) {
${targets}
        }
${body}
    }
    nnet::trace_enabled = false;
    nnet::trace_outputs = nullptr;
}
