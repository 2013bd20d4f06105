/* Runs a network compiled by `hitfabric compile`, without Python.
 *
 *   run_network LIBRARY THREADS INPUT... OUTPUT...
 *
 * One file for each input and then each output of the network, in its order; without files, prints what they are.
 * Files hold raw rows: float32 features, int64 (sender, receiver), as NumPy's tofile() writes them. Sizes come from the
 * files' lengths.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hitfabric_native.h"

enum { MOST = 16 }; /* inputs, and outputs */

struct tensor {
  char name[128];
  char dimension; /* R, N or E */
  int features;
  char type[16];
};

/* The functions of a library; several networks can be loaded at the same time. */
struct network {
  int32_t (*abi_version)(void);
  void (*lengths)(int32_t*, int32_t*, int32_t*);
  const char* (*input)(int32_t);
  const char* (*output)(int32_t);
  int32_t (*run)(struct hitfabric_call*);
  const char* (*message)(int32_t);
  int32_t inputs, outputs, taps;
};

static void stop(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void find(void* library, const char* name, void* function) {
  void* found = dlsym(library, name);
  if (found == NULL) stop(name, "not in the library");
  memcpy(function, &found, sizeof(found));
}

static struct network load(const char* path) {
  struct network network;
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) stop(path, dlerror());
  find(library, "hitfabric_abi_version", &network.abi_version);
  if (network.abi_version() != HITFABRIC_ABI_VERSION) stop(path, "made for another version of hitfabric_native.h");
  find(library, "hitfabric_lengths", &network.lengths);
  find(library, "hitfabric_input", &network.input);
  find(library, "hitfabric_output", &network.output);
  find(library, "hitfabric_run", &network.run);
  find(library, "hitfabric_message", &network.message);
  network.lengths(&network.inputs, &network.outputs, &network.taps);
  if (network.inputs > MOST || network.outputs > MOST) stop(path, "more inputs or outputs than this program takes");
  return network;
}

static struct tensor parse(const char* description) {
  struct tensor tensor;
  if (sscanf(description, "%127s %c %d %15s", tensor.name, &tensor.dimension, &tensor.features, tensor.type) != 4) {
    stop(description, "not understood");
  }
  return tensor;
}

static size_t row_bytes(const struct tensor* tensor) {
  return (size_t)tensor->features * (strcmp(tensor->type, "int64") == 0 ? 8 : 4);
}

static int64_t* size_of(struct hitfabric_call* call, const struct tensor* tensor) {
  return tensor->dimension == 'R' ? &call->rows : tensor->dimension == 'N' ? &call->nodes : &call->edges;
}

/* Rows of a file, in memory to be freed. */
static void* read_rows(const char* path, const struct tensor* tensor, int64_t* rows) {
  FILE* file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) stop(path, "cannot be read");
  const long bytes = ftell(file);
  if (bytes < 0 || (size_t)bytes % row_bytes(tensor) != 0) stop(path, "does not hold whole rows");
  rewind(file);
  void* memory = malloc((size_t)bytes + 1);
  if (memory == NULL || fread(memory, 1, (size_t)bytes, file) != (size_t)bytes) stop(path, "cannot be read");
  fclose(file);
  *rows = (int64_t)((size_t)bytes / row_bytes(tensor));
  return memory;
}

static void write_rows(const char* path, const struct tensor* tensor, const void* rows, int64_t count) {
  FILE* file = fopen(path, "wb");
  const size_t bytes = row_bytes(tensor) * (size_t)count;
  if (file == NULL || fwrite(rows, 1, bytes, file) != bytes || fclose(file) != 0) stop(path, "cannot be written");
}

static void describe(const struct network* network) {
  for (int32_t k = 0; k < network->inputs; ++k) printf("input %s\n", network->input(k));
  for (int32_t k = 0; k < network->outputs; ++k) printf("output %s\n", network->output(k));
}

static void compute(const struct network* network, int threads, char** files) {
  struct hitfabric_call call = {0};
  void* inputs[MOST];
  float* outputs[MOST];
  int64_t** taps = calloc((size_t)network->taps + 1, sizeof(*taps)); /* NULL: integers of inner nodes are not wanted */
  if (taps == NULL) stop("taps", "out of memory");
  int64_t sizes[256];
  memset(sizes, -1, sizeof(sizes));
  for (int32_t k = 0; k < network->inputs; ++k) {
    const struct tensor tensor = parse(network->input(k));
    int64_t* size = &sizes[(unsigned char)tensor.dimension];
    const int64_t before = *size;
    inputs[k] = read_rows(files[k], &tensor, size);
    if (before >= 0 && *size != before) stop(files[k], "does not have as many rows as the inputs before it");
    *size_of(&call, &tensor) = *size;
  }
  for (int32_t k = 0; k < network->outputs; ++k) {
    const struct tensor tensor = parse(network->output(k));
    outputs[k] = malloc(row_bytes(&tensor) * (size_t)*size_of(&call, &tensor) + 1);
    if (outputs[k] == NULL) stop(tensor.name, "out of memory");
  }
  call.inputs = (const void* const*)inputs;
  call.outputs = outputs;
  call.taps = taps;
  call.input_count = network->inputs;
  call.output_count = network->outputs;
  call.tap_count = network->taps;
  call.threads = threads;
  const int32_t status = network->run(&call);
  if (status != HITFABRIC_OK) stop("hitfabric_run", network->message(status));
  for (int32_t k = 0; k < network->outputs; ++k) {
    const struct tensor tensor = parse(network->output(k));
    write_rows(files[network->inputs + k], &tensor, outputs[k], *size_of(&call, &tensor));
    free(outputs[k]);
  }
  for (int32_t k = 0; k < network->inputs; ++k) free(inputs[k]);
  free(taps);
}

int main(int count, char** arguments) {
  if (count < 2) stop("usage", "run_network LIBRARY [THREADS INPUT... OUTPUT...]");
  const struct network network = load(arguments[1]);
  if (count == 2) {
    describe(&network);
  } else if (count == 3 + network.inputs + network.outputs) {
    compute(&network, atoi(arguments[2]), arguments + 3);
  } else {
    stop(arguments[1], "give a file for each input and output");
  }
  return 0;
}
