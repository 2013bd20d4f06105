// What a model does when it fails: by default Verilator's runtime ends the whole process, which here is Python.
#include <stdexcept>
#include <string>

#include "verilated.h"

namespace {

[[noreturn]] void fail(const char* what, const char* file, int line, const char* hierarchy) {
  throw std::runtime_error(std::string(what) + " at " + file + ":" + std::to_string(line) +
                           (hierarchy != nullptr && *hierarchy != '\0' ? std::string(" in ") + hierarchy : ""));
}

}  // namespace

void vl_fatal(const char* filename, int linenum, const char* hier, const char* msg) VL_MT_UNSAFE {
  fail(msg, filename, linenum, hier);
}

void vl_stop(const char* filename, int linenum, const char* hier) VL_MT_UNSAFE {
  fail("$stop", filename, linenum, hier);
}
