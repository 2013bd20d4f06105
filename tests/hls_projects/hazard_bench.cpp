// The scatter of the aggregate with accumulators that know when they were written: a packet is a cycle, and an
// accumulator must rest edge_phases cycles between two accesses, whatever the edges are. Called by test_kernels.py.

#include <cstdint>

#include "nnet_edge.h"

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void*>* trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
}  // namespace nnet

static const unsigned NODES = 5, EDGES = 40, LANES = HAZARD_LANES;
static const long LONG_AGO = -1000;
static long now = 0;
static long violations = 0;

// One element of a memory, or of the word that a lane has read from it: the latter is made within the cycle.
struct timed_t {
  int64_t value;
  long made;
  long accessed;
  timed_t() : value(0), made(now), accessed(LONG_AGO) {}
  timed_t(int64_t given) : value(given), made(now), accessed(LONG_AGO) {}
  template <int W, int I>
  timed_t(const ap_fixed<W, I>& given) : value((int64_t)given.to_double()), made(now), accessed(LONG_AGO) {}
  timed_t(const timed_t& other) : value(other.value), made(now), accessed(other.accessed) {}
  timed_t& operator=(const timed_t& other) {
    other.check();
    value = other.value;
    if (made < now) {
      check();
      accessed = now;
    }
    return *this;
  }
  timed_t& operator=(int64_t given) {
    value = given;
    accessed = LONG_AGO;
    return *this;
  }
  void check() const {
    if (made < now && now - accessed < (long)nnet::edge_phases) violations++;
  }
};
static timed_t operator+(const timed_t& a, const timed_t& b) { return timed_t(a.value + b.value); }
static bool operator>(const ap_fixed<8, 8>& a, const timed_t& b) { return (int64_t)a.to_double() > b.value; }

typedef ap_fixed<8, 8> value_t;
typedef nnet::array<value_t, LANES> row_t;
struct ends_t : nnet::array<ap_uint<3>, 2 * LANES> {};

namespace hls {
// Reading a packet of the edge index starts a cycle.
template <>
class stream<ends_t> {
 public:
  explicit stream(const int64_t* index) : index_(index) {}
  ends_t read() {
    ends_t packet;
    for (unsigned i = 0; i < 2 * LANES; i++) packet[i] = *index_++;
    now++;
    return packet;
  }

 private:
  const int64_t* index_;
};
}  // namespace hls

struct config : nnet::edge_config {
  static const unsigned n_node = NODES;
  static const unsigned n_edge = EDGES;
  static const unsigned n_lane = LANES;
  typedef timed_t accum_t;
};
typedef nnet::edge_sizes<config> sizes;

// EDGES rows of the edge index -> accesses that came too early; totals receives the sum at each node of edges of
// value 1.
extern "C" long hazard_violations(const int64_t* index, int64_t* totals) {
  static timed_t partial[sizes::banks][sizes::node_packets][sizes::width];
  hls::stream<row_t> edges;
  hls::stream<ends_t> ends(index);
  row_t ones;
  for (unsigned lane = 0; lane < LANES; lane++) ones[lane] = 1;
  for (unsigned e = 0; e < EDGES; e += LANES) edges.write(ones);
  now++;  // the memory was made before
  violations = 0;
  nnet::edge_aggregate_scatter<row_t, ends_t, config>(edges, ends, partial);
  for (unsigned n = 0; n < NODES; n++) {
    totals[n] = 0;
    for (unsigned bank = 0; bank < sizes::banks; bank++) totals[n] += partial[bank][n / LANES][n % LANES].value;
  }
  return violations;
}
