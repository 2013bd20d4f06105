/* The C interface of a compiled network: one shared library per network, loadable from any language.
 *
 * A library belongs to one version of one network. It holds code for several instruction sets and takes the best that
 * the processor has. All functions may be called by several threads at once; none keeps anything between calls.
 */
#ifndef HITFABRIC_NATIVE_H
#define HITFABRIC_NATIVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HITFABRIC_ABI_VERSION 2

enum hitfabric_status {
  HITFABRIC_OK = 0,
  HITFABRIC_OUT_OF_MEMORY = 1,
  HITFABRIC_BAD_SIZES = 2,  /* a size is negative or 2^31 or more, or the arguments' lengths are not the network's */
  HITFABRIC_NOT_FINITE = 3, /* an input feature is NaN or infinite */
  HITFABRIC_NEGATIVE_INDEX = 4, /* an edge index is below 0 */
  HITFABRIC_TOO_MANY_EDGES = 5, /* the network is exact up to hitfabric_maximal_edges() edges only */
  HITFABRIC_NO_INSTRUCTIONS = 6 /* the instruction set asked for is not in the library, or not in the processor */
};

/* Arguments of one call; every array has the length that hitfabric_lengths() gives, in the network's order.
 *
 * rows, nodes, edges: sizes; rows of a network of rows (else 0), nodes and edges of a graph network (else 0).
 * inputs: float [size][features], row-major, or int64 [edges][2] (sender, receiver; at or above `nodes`: padding).
 * outputs: float [size][features], written; NULL leaves one out.
 * taps: int64 [size][features], written: the integers of visible nodes; NULL leaves one out.
 * threads: at most this many threads compute.
 * instructions: as hitfabric_instructions() gives them, or NULL for the best.
 * bad_input, bad_row: set to where a status HITFABRIC_NOT_FINITE or HITFABRIC_NEGATIVE_INDEX was found (the row is the
 *   first of the up to 64 rows among which it is).
 */
struct hitfabric_call {
  int64_t rows, nodes, edges;
  const void* const* inputs;
  float* const* outputs;
  int64_t* const* taps;
  int32_t input_count, output_count, tap_count;
  int32_t threads;
  const char* instructions;
  int32_t bad_input;
  int64_t bad_row;
};

/* Version of this interface; check it before anything else. */
int32_t hitfabric_abi_version(void);

/* Numbers of inputs, outputs and visible nodes. */
void hitfabric_lengths(int32_t* inputs, int32_t* outputs, int32_t* taps);

/* Name, size ("R", "N" or "E"), features and type of input, output or visible node number k: "nodes N 3 float32" or
 * "edge_index E 2 int64"; NULL beyond. */
const char* hitfabric_input(int32_t k);
const char* hitfabric_output(int32_t k);
const char* hitfabric_tap(int32_t k);

/* Largest number of edges of one call, or INT64_MAX. */
int64_t hitfabric_maximal_edges(void);

/* Instruction sets of the library that this processor has, best first, separated by spaces. */
const char* hitfabric_instructions(void);

/* Computes the network. Whatever the status, nothing is kept; outputs are complete only after HITFABRIC_OK. */
int32_t hitfabric_run(struct hitfabric_call* call);

/* A status in words. */
const char* hitfabric_message(int32_t status);

#ifdef __cplusplus
}
#endif

#endif
