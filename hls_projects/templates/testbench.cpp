// Self-checking test bench of ${project}, for C simulation and C/RTL cosimulation. Written by hitfabric.
// Reads tb_data/<tensor>.txt (one row or graph per line; `-` is a padding row, not compared) and returns
// non-zero on any mismatch, or where there is nothing to compare.

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "firmware/${project}.h"
#include "firmware/nnet_utils/nnet_helpers.h"

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
} // namespace nnet

static bool read_line(std::ifstream &file, const char *name, size_t size, std::vector<double> &values,
                      std::vector<bool> &compared) {
    std::string line, word;
    values.clear();
    compared.clear();
    if (!std::getline(file, line))
        return false;
    std::istringstream words(line);
    while (words >> word) {
        compared.push_back(word != "-");
        values.push_back(word != "-" ? std::atof(word.c_str()) : 0.0);
    }
    if (values.size() != size) {
        std::cerr << "tb_data/" << name << ".txt: a line holds " << values.size() << " values, expected " << size << "\n";
        std::exit(2);
    }
    return true;
}

static long check(const char *name, long row, const std::vector<double> &expected, const std::vector<bool> &compared,
                  const std::vector<double> &found) {
    long mismatches = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        if (compared[i] && expected[i] != found[i]) {
            if (mismatches++ == 0)
                std::cerr << name << " of row " << row << ", element " << i << ": expected " << expected[i] << ", got "
                          << found[i] << "\n";
        }
    }
    return mismatches;
}

int main() {
${declarations}
    long rows = 0, mismatches = 0;
    std::vector<bool> ignored;
    while (true) {
${body}
        rows++;
    }
    std::cout << "${project}: " << rows << " rows or graphs, " << mismatches << " mismatches" << std::endl;
    if (rows == 0)
        std::cerr << "tb_data holds no vectors: nothing was compared" << std::endl;
    return rows == 0 ? 2 : (mismatches == 0 ? 0 : 1);
}
