// Calls a compiled network through its C interface alone, from several threads at once, for test_native_sanitizers.py.
//
//   call_native LIBRARY CASES RESULTS CALLERS THREADS
//
// CASES: int64 number of cases; of each int64 rows, nodes, edges, then the inputs in the network's order. RESULTS: for
// every instruction set of the library, of every case int64 status; where it is 0, outputs (float32), then taps
// (int64). Standard output names the instruction sets. All callers must get the same bytes, else the exit status is 3.
// Arrays are exactly as large as the interface says, each on its own, so that a sanitizer sees what reaches beyond.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "hitfabric_native.h"

namespace {

using Bytes = std::vector<char>;

struct Tensor {
  char dimension;
  std::int64_t features;
  std::int64_t item;  // bytes
};

struct Case {
  std::int64_t rows, nodes, edges;
  std::vector<Bytes> inputs;
};

struct Result {
  std::int64_t status = 0;
  std::vector<Bytes> outputs, taps;

  bool operator==(const Result& other) const {
    return status == other.status && outputs == other.outputs && taps == other.taps;
  }
};

class Library {
 public:
  explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw std::runtime_error(dlerror());
    if (function<decltype(hitfabric_abi_version)>("hitfabric_abi_version")() != HITFABRIC_ABI_VERSION) {
      throw std::runtime_error("another interface");
    }
    run_ = function<decltype(hitfabric_run)>("hitfabric_run");
    std::int32_t lengths[3] = {};
    function<decltype(hitfabric_lengths)>("hitfabric_lengths")(lengths, lengths + 1, lengths + 2);
    inputs = tensors("hitfabric_input", lengths[0], 4);
    outputs = tensors("hitfabric_output", lengths[1], 4);
    taps = tensors("hitfabric_tap", lengths[2], 8);
    std::istringstream words(function<decltype(hitfabric_instructions)>("hitfabric_instructions")());
    for (std::string word; words >> word;) instructions.push_back(word);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() { dlclose(handle_); }

  Result run(const Case& given, const std::string& chosen, int threads) const {
    Result result;
    result.outputs = arrays(outputs, given);
    result.taps = arrays(taps, given);
    std::vector<const void*> in;
    std::vector<float*> out;
    std::vector<std::int64_t*> tapped;
    for (const Bytes& bytes : given.inputs) in.push_back(bytes.data());
    for (Bytes& bytes : result.outputs) out.push_back(reinterpret_cast<float*>(bytes.data()));
    for (Bytes& bytes : result.taps) tapped.push_back(reinterpret_cast<std::int64_t*>(bytes.data()));
    hitfabric_call call{};
    call.rows = given.rows;
    call.nodes = given.nodes;
    call.edges = given.edges;
    call.inputs = in.data();
    call.outputs = out.data();
    call.taps = tapped.data();
    call.input_count = static_cast<std::int32_t>(in.size());
    call.output_count = static_cast<std::int32_t>(out.size());
    call.tap_count = static_cast<std::int32_t>(tapped.size());
    call.threads = threads;
    call.instructions = chosen.c_str();
    result.status = run_(&call);
    if (result.status != HITFABRIC_OK) {  // what was written until then, differs from call to call
      result.outputs.clear();
      result.taps.clear();
    }
    return result;
  }

  std::vector<Tensor> inputs, outputs, taps;
  std::vector<std::string> instructions;

 private:
  template <class Function>
  Function* function(const char* name) const {
    void* found = dlsym(handle_, name);
    if (found == nullptr) throw std::runtime_error(dlerror());
    return reinterpret_cast<Function*>(found);
  }

  std::vector<Tensor> tensors(const char* name, std::int32_t count, std::int64_t item) const {
    std::vector<Tensor> found;
    for (std::int32_t k = 0; k < count; ++k) {
      std::istringstream words(function<decltype(hitfabric_input)>(name)(k));
      std::string node, type;
      Tensor tensor{};
      words >> node >> tensor.dimension >> tensor.features >> type;
      tensor.item = type == "int64" ? 8 : item;
      found.push_back(tensor);
    }
    return found;
  }

  static std::vector<Bytes> arrays(const std::vector<Tensor>& tensors, const Case& given) {
    std::vector<Bytes> found;
    for (const Tensor& tensor : tensors) found.emplace_back(bytes(tensor, given));
    return found;
  }

 public:
  static std::size_t bytes(const Tensor& tensor, const Case& given) {
    const std::int64_t size = tensor.dimension == 'R'   ? given.rows
                              : tensor.dimension == 'N' ? given.nodes
                                                        : given.edges;
    return static_cast<std::size_t>(size * tensor.features * tensor.item);
  }

 private:
  void* handle_;
  decltype(&hitfabric_run) run_ = nullptr;
};

std::int64_t read_number(std::istream& file) {
  std::int64_t number = 0;
  if (!file.read(reinterpret_cast<char*>(&number), sizeof(number))) throw std::runtime_error("the cases end early");
  return number;
}

std::vector<Case> read_cases(const char* path, const Library& library) {
  std::ifstream file(path, std::ios::binary);
  std::vector<Case> cases(static_cast<std::size_t>(read_number(file)));
  for (Case& one : cases) {
    one.rows = read_number(file);
    one.nodes = read_number(file);
    one.edges = read_number(file);
    for (const Tensor& tensor : library.inputs) {
      Bytes bytes(Library::bytes(tensor, one));
      if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
        throw std::runtime_error("the cases end early");
      }
      one.inputs.push_back(std::move(bytes));
    }
  }
  return cases;
}

void write(std::ostream& file, const Result& result) {
  file.write(reinterpret_cast<const char*>(&result.status), sizeof(result.status));
  for (const auto* list : {&result.outputs, &result.taps}) {
    for (const Bytes& bytes : *list) file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
}

int call_all(int, char** arguments) {
  const Library library(arguments[1]);
  const std::vector<Case> cases = read_cases(arguments[2], library);
  std::ofstream file(arguments[3], std::ios::binary);
  const auto callers = static_cast<std::size_t>(std::atoi(arguments[4]));
  const int threads = std::atoi(arguments[5]);
  for (const std::string& instructions : library.instructions) {
    std::cout << instructions << "\n";
    for (const Case& one : cases) {
      std::vector<Result> results(callers);
      std::vector<std::thread> calling;
      for (Result& result : results) {
        calling.emplace_back([&] { result = library.run(one, instructions, threads); });
      }
      for (std::thread& thread : calling) thread.join();
      for (const Result& result : results) {
        if (!(result == results[0])) return 3;
      }
      write(file, results[0]);
    }
  }
  return file.flush() ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return count == 6 ? call_all(count, arguments) : 2;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
