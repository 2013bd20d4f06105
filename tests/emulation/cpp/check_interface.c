/* Calls a compiled network in every way that its interface allows or refuses, and prints what came back, one
 * "name value" a line, for test_native_interface.py. All features are 0 and all edges join node 0 with itself, unless
 * said otherwise. */
#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "hitfabric_native.h"

enum { MOST = 8, NODES = 3, EDGES = 5 };

static int32_t (*abi_version)(void);
static void (*lengths)(int32_t*, int32_t*, int32_t*);
static const char* (*described[3])(int32_t);
static int64_t (*maximal_edges)(void);
static const char* (*instructions)(void);
static int32_t (*run)(struct hitfabric_call*);
static const char* (*message)(int32_t);

static void* library;
static int32_t counts[3];
static void* inputs[MOST];
static float* outputs[MOST];
static int64_t* taps[MOST];

static void find(const char* name, void* function) {
  void* found = dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  memcpy(function, &found, sizeof(found));
}

static struct hitfabric_call usual(void) {
  struct hitfabric_call call = {0};
  call.nodes = NODES;
  call.edges = EDGES;
  call.inputs = (const void* const*)inputs;
  call.outputs = outputs;
  call.taps = taps;
  call.input_count = counts[0];
  call.output_count = counts[1];
  call.tap_count = counts[2];
  call.threads = 1;
  return call;
}

static void try_call(const char* name, struct hitfabric_call call) {
  call.bad_input = -1;
  call.bad_row = -1;
  const int32_t status = run(&call);
  printf("%s %" PRId32 " %" PRId32 " %" PRId64 "\n", name, status, call.bad_input, call.bad_row);
}

static void names(void) {
  static const char* const kinds[3] = {"input", "output", "tap"};
  for (int kind = 0; kind < 3; ++kind) {
    for (int32_t k = -1; k <= counts[kind]; ++k) {
      const char* text = described[kind](k);
      printf("%s%" PRId32 " %s\n", kinds[kind], k, text == NULL ? "NULL" : text);
    }
  }
}

static void sizes(void) {
  struct hitfabric_call call = usual();
  call.nodes = -1;
  try_call("negative_nodes", call);
  call = usual();
  call.edges = INT64_C(1) << 31;
  try_call("edges_of_2_to_31", call);
  call = usual();
  call.rows = INT64_MIN;
  try_call("least_rows", call);
  call = usual();
  call.edges = maximal_edges() + 1;
  if (maximal_edges() < INT32_MAX - 1) try_call("too_many_edges", call);
  call = usual();
  call.nodes = 0;
  call.edges = 0;
  try_call("nothing", call);
}

static void arguments(void) {
  for (int kind = 0; kind < 3; ++kind) {
    struct hitfabric_call call = usual();
    ++*(kind == 0 ? &call.input_count : kind == 1 ? &call.output_count : &call.tap_count);
    try_call("wrong_count", call);
  }
  struct hitfabric_call call = usual();
  call.inputs = NULL;
  try_call("no_inputs", call);
  call = usual();
  call.taps = NULL;
  try_call("no_taps", call);
  call = usual();
  call.instructions = "sse9";
  try_call("unknown_instructions", call);
  call.instructions = "";
  try_call("empty_instructions", call);
  call.instructions = "plain";
  call.threads = -5;
  try_call("plain_and_negative_threads", call);
  call.threads = INT32_MAX;
  try_call("most_threads", call);
}

static void values(int32_t features, int32_t index) {
  float* first = inputs[features];
  int64_t* edges = inputs[index];
  const float bad[3] = {NAN, INFINITY, -INFINITY};
  for (int k = 0; k < 3; ++k) {
    first[1] = bad[k];
    try_call("not_finite", usual());
  }
  first[1] = 0;
  edges[3] = -1;
  try_call("negative_index", usual());
  edges[3] = INT64_MIN;
  try_call("least_index", usual());
  edges[3] = INT64_MAX;
  try_call("largest_index", usual());
  edges[3] = 0;
}

static int filled(const void* memory, size_t bytes) {
  const unsigned char* byte = memory;
  size_t same = 0;
  for (size_t k = 0; k < bytes; ++k) same += byte[k] == 0xee;
  return same == bytes;
}

static void nulls(void) {
  float* output = outputs[0];
  int64_t* tap = taps[0];
  memset(output, 0xee, sizeof(float));
  memset(tap, 0xee, sizeof(int64_t));
  outputs[0] = NULL;
  taps[0] = NULL;
  try_call("null_output_and_tap", usual());
  printf("left_alone %d\n", filled(output, sizeof(float)) && filled(tap, sizeof(int64_t)));
  outputs[0] = output;
  taps[0] = tap;
  try_call("usual", usual());
  printf("written %d\n", !filled(output, sizeof(float)) && !filled(tap, sizeof(int64_t)));
}

static void memory(void) {
  const struct rlimit limit = {1 << 30, 1 << 30};
  if (setrlimit(RLIMIT_AS, &limit) != 0) exit(1);
  struct hitfabric_call call = usual();
  call.nodes = INT32_MAX - 1;
  call.threads = 4;
  try_call("out_of_memory", call); /* before anything is read: the inputs are far too short */
  try_call("usual_again", usual());
}

int main(int count, char** given) {
  if (count != 2) return 2;
  library = dlopen(given[1], RTLD_NOW);
  if (library == NULL) return 1;
  find("hitfabric_abi_version", &abi_version);
  find("hitfabric_lengths", &lengths);
  find("hitfabric_input", &described[0]);
  find("hitfabric_output", &described[1]);
  find("hitfabric_tap", &described[2]);
  find("hitfabric_maximal_edges", &maximal_edges);
  find("hitfabric_instructions", &instructions);
  find("hitfabric_run", &run);
  find("hitfabric_message", &message);
  lengths(&counts[0], &counts[1], &counts[2]);
  printf("version %" PRId32 "\nmaximal_edges %" PRId64 "\n", abi_version(), maximal_edges());
  printf("instructions %s\n", instructions());
  for (int32_t status = 0; status <= 7; ++status) printf("message%" PRId32 " %s\n", status, message(status));
  names();
  int32_t features = -1, index = -1;
  for (int32_t k = 0; k < counts[0] && k < MOST; ++k) {
    *(strstr(described[0](k), "int64") != NULL ? &index : &features) = k;
    inputs[k] = calloc(16 * EDGES, 8);
  }
  for (int32_t k = 0; k < counts[1] && k < MOST; ++k) outputs[k] = calloc(16 * EDGES, sizeof(float));
  for (int32_t k = 0; k < counts[2] && k < MOST; ++k) taps[k] = calloc(16 * EDGES, sizeof(int64_t));
  sizes();
  arguments();
  values(features, index);
  nulls();
  memory();
  return 0;
}
