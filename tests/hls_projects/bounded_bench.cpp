// Process networks by themselves: each case prints what happened, for test_bounded_network.py to compare.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "hls_stream.h"
#include "process_network.h"

struct Packet {
  static const unsigned size = 1;
  int value;
  int operator[](size_t) const { return value; }
};
using Stream = hls::stream<Packet>;

// source -> first and second; the first path hands on only once it has read everything, as a gather does.
static void reconvergent(int packets, size_t depth_first, size_t depth_second, bool overflow) {
  Stream in("in"), first("first"), second("second"), late("late"), out("out");
  for (int i = 0; i < packets; i++) in.write(Packet{i});
  hitfabric::Network network;
  network.declare(first.fifo(), depth_first, 0, 1);
  network.declare(second.fifo(), depth_second, 0, 2);
  network.declare(late.fifo(), 1, 1, 2);
  network.process("source", true, [&] {
    for (int i = 0; i < packets; i++) {
      Packet packet = in.read();
      first.write(packet);
      second.write(packet);
    }
  });
  network.process("reversed", false, [&] {
    volatile char local[8 << 20];  // a kernel's memories live on the stack
    local[0] = local[sizeof(local) - 1] = 1;
    std::string kept(4096, 'x');  // leaks if a stack is not unwound
    Stream inner("inner");
    for (int i = 0; i < packets; i++) inner.write(first.read());
    for (int i = 0; i < packets; i++) late.write(Packet{packets - inner.read().value});
    if (overflow) throw std::runtime_error("the process failed");
  });
  network.process("join", false, [&] {
    for (int i = 0; i < packets; i++) {
      Packet left = late.read(), right = second.read();
      out.write(Packet{left.value * 100 + right.value});
    }
  });
  network.run();
  for (int i = 0; i < packets; i++) std::printf("%d ", out.read().value);
}

// A network from standard input: "packets processes fifos", a depth per FIFO, then per process whether it gathers its
// first input before it goes on, and its FIFOs read and written, each list behind its length.
static std::vector<size_t> numbers(std::istream& in) {
  size_t count = 0;
  in >> count;
  std::vector<size_t> values(count);
  for (size_t& value : values) in >> value;
  return values;
}

static void given(std::istream& in) {
  size_t packets = 0, processes = 0, fifos = 0;
  in >> packets >> processes >> fifos;
  std::vector<size_t> depths(fifos), writers(fifos), readers(fifos), gathers(processes);
  for (size_t& depth : depths) in >> depth;
  std::vector<std::vector<size_t>> reads, writes;
  for (size_t p = 0; p < processes; p++) {
    in >> gathers[p];
    reads.push_back(numbers(in));
    writes.push_back(numbers(in));
    for (size_t fifo : reads[p]) readers[fifo] = p;
    for (size_t fifo : writes[p]) writers[fifo] = p;
  }
  std::vector<std::unique_ptr<Stream>> streams;
  for (size_t fifo = 0; fifo < fifos; fifo++) streams.emplace_back(new Stream("fifo" + std::to_string(fifo)));
  hitfabric::Network network;
  for (size_t fifo = 0; fifo < fifos; fifo++)
    network.declare(streams[fifo]->fifo(), depths[fifo], writers[fifo], readers[fifo]);
  for (size_t p = 0; p < processes; p++)
    network.process("process", reads[p].empty(), [&, p] {
      for (size_t i = 0; gathers[p] && i < packets; i++) streams[reads[p][0]]->read();
      for (size_t i = 0; i < packets; i++) {
        for (size_t k = gathers[p]; k < reads[p].size(); k++) streams[reads[p][k]]->read();
        for (size_t fifo : writes[p]) streams[fifo]->write(Packet{0});
      }
    });
  network.run();
}

static void run(const char* which, int repeats) {
  for (int i = 0; i < repeats; i++) {
    try {
      if (!std::strcmp(which, "deep")) reconvergent(4, 1, 4, false);
      if (!std::strcmp(which, "shallow")) reconvergent(4, 1, 3, false);
      if (!std::strcmp(which, "throws")) reconvergent(4, 1, 4, true);
      if (!std::strcmp(which, "given")) given(std::cin);
      if (!std::strcmp(which, "starved")) {
        Stream a("a"), out("out");
        hitfabric::Network network;
        network.declare(a.fifo(), 1, 0, 1);
        network.process("short", false, [&] { a.write(Packet{1}); });
        network.process("long", false, [&] {
          for (int k = 0; k < 2; k++) out.write(a.read());
        });
        network.run();
      }
      if (!std::strcmp(which, "leftover")) {
        Stream a("a");
        hitfabric::Network network;
        network.declare(a.fifo(), 2, 0, 1);
        network.process("writer", false, [&] { a.write(Packet{1}); });
        network.process("reader", false, [&] {});
        network.run();
      }
      if (!std::strcmp(which, "port")) {
        Stream in("in"), a("a");
        hitfabric::Network network;
        network.declare(a.fifo(), 2, 0, 1);
        network.process("writer", true, [&] { a.write(in.read()); });
        network.process("reader", false, [&] { a.read(); });
        network.run();
      }
      if (!std::strcmp(which, "polls")) {
        Stream a("a");
        hitfabric::Network network;
        network.declare(a.fifo(), 2, 0, 1);
        network.process("writer", false, [&] { a.write(Packet{1}); });
        network.process("reader", false, [&] {
          if (!a.empty()) a.read();
        });
        network.run();
      }
      if (i == 0) std::printf("done");
    } catch (const hitfabric::Deadlock& error) {
      if (i == 0) std::printf("%s\n%s", error.what(), error.record().c_str());
    } catch (const std::exception& error) {
      if (i == 0) std::printf("error: %s", error.what());
    }
  }
}

int main(int count, char** words) {
  run(count > 1 ? words[1] : "deep", count > 2 ? std::atoi(words[2]) : 1);
  return 0;
}
