// All that generated passes need.
#pragma once

#include "aggregate.h"
#include "linear.h"
#if defined(HITFABRIC_AMX)
#include "matrix_tiles.h"
#endif
#include "rows.h"
#include "wide.h"

#define HITFABRIC_ALWAYS __attribute__((always_inline))

#if defined(HITFABRIC_AMX)
#define HITFABRIC_PROGRAM kProgramAmx
#elif defined(HITFABRIC_AVX512VNNI)
#define HITFABRIC_PROGRAM kProgramAvx512vnni
#elif defined(HITFABRIC_AVX2)
#define HITFABRIC_PROGRAM kProgramAvx2
#define HITFABRIC_WIDENED
#else
#define HITFABRIC_PROGRAM kProgramPlain
#endif
