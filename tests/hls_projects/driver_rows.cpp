// Drives a core of rows: a new row each cycle on `row_in`, its result on `row_out` some cycles later.
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>

#include "Vmodel.h"
#include "verilated.h"

namespace {

// Verilator keeps a port as an integer of 8, 16, 32 or 64 bits, or as an array of 32-bit words: in a little-endian
// memory the same bytes in the same order.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ports are copied as bytes");

template <typename Port>
void write_port(Port& port, const std::uint8_t* bytes, std::size_t count) {
  std::memset(static_cast<void*>(&port), 0, sizeof(Port));
  std::memcpy(static_cast<void*>(&port), bytes, count < sizeof(Port) ? count : sizeof(Port));
}

template <typename Port>
void read_port(const Port& port, std::uint8_t* bytes, std::size_t count) {
  std::memcpy(bytes, static_cast<const void*>(&port), count < sizeof(Port) ? count : sizeof(Port));
}

void run(std::uint64_t seed, std::int64_t latency, std::int64_t rows, const std::uint8_t* in, std::int64_t in_bytes,
         std::uint8_t* out, std::int64_t out_bytes) {
  VerilatedContext context;
  context.randReset(2);
  context.randSeed(static_cast<int>(seed % 0x7fffffffU) + 1);  // 0 would be a seed of the clock's
  Vmodel model(&context);
  model.clk = 0;
  model.eval();
  for (std::int64_t cycle = 0; cycle < rows + latency; ++cycle) {
    // A row written before an edge is in the core's first registers after it: with a latency of 1, its result too.
    if (cycle < rows) write_port(model.row_in, in + cycle * in_bytes, static_cast<std::size_t>(in_bytes));
    model.clk = 0;
    model.eval();
    model.clk = 1;
    model.eval();
    const std::int64_t done = cycle + 1 - latency;
    if (done >= 0 && done < rows) read_port(model.row_out, out + done * out_bytes, static_cast<std::size_t>(out_bytes));
  }
  model.final();
}

}  // namespace

extern "C" {

// Returns what went wrong, or null. Rows are whole bytes, the first lowest.
__attribute__((visibility("default"))) const char* hitfabric_rows(std::uint64_t seed, std::int64_t latency,
                                                                  std::int64_t rows, const std::uint8_t* in,
                                                                  std::int64_t in_bytes, std::uint8_t* out,
                                                                  std::int64_t out_bytes) {
  static thread_local std::string problem;
  try {
    run(seed, latency, rows, in, in_bytes, out, out_bytes);
    return nullptr;
  } catch (const std::exception& error) {
    problem = error.what();
    return problem.c_str();
  }
}
}
