// A network with one fault, to see that the sanitizers and the comparison find it: FAULT is 1 for a race between calls,
// 2 for a read beyond an input, 3 for an overflow, 4 for a wrong output. VERSION and INSTRUCTIONS are what it says it
// has.
#include "hitfabric_native.h"

#if !defined(VERSION)
#define VERSION HITFABRIC_ABI_VERSION
#endif
#if !defined(INSTRUCTIONS)
#define INSTRUCTIONS "plain"
#endif

namespace {
int calls = 0;
}

extern "C" {

int32_t hitfabric_abi_version(void) { return VERSION; }

void hitfabric_lengths(int32_t* inputs, int32_t* outputs, int32_t* taps) {
  *inputs = 1;
  *outputs = 1;
  *taps = 2;
}

const char* hitfabric_input(int32_t) { return "features R 1 float32"; }
const char* hitfabric_output(int32_t) { return "result0 R 1 float32"; }
const char* hitfabric_tap(int32_t k) { return k == 0 ? "quant0 R 1 int64" : "result0 R 1 int64"; }
int64_t hitfabric_maximal_edges(void) { return INT64_MAX; }
const char* hitfabric_instructions(void) { return INSTRUCTIONS; }
const char* hitfabric_message(int32_t) { return "a message"; }

int32_t hitfabric_run(hitfabric_call* call) {
  const auto* features = static_cast<const float*>(call->inputs[0]);
  for (int64_t row = 0; row < call->rows; ++row) {
    call->outputs[0][row] = features[row];
    for (int k = 0; k < 2; ++k) call->taps[k][row] = static_cast<int64_t>(features[row]);
  }
#if FAULT == 1
  ++calls;
#elif FAULT == 2
  calls = features[call->rows] > 0 ? 1 : 0;
#elif FAULT == 3
  int32_t large = INT32_MAX - (features[0] > 0 ? 0 : 1);
  calls = large + 1;
#elif FAULT == 4
  call->outputs[0][call->rows - 1] += 1;
#endif
  return calls < 0 ? HITFABRIC_OUT_OF_MEMORY : HITFABRIC_OK;
}
}
