// Finds tracks through a running server, with nothing but the standard library and POSIX sockets.
//
//   g++ -std=c++17 -O2 -Wall -Wextra -Werror -o track_event track_event.cpp
//   hitfabric serve                                   # in another terminal
//   ./track_event event000009030-hits.csv [--server 127.0.0.1:8000] [--model tracking] [--labels FILE]
//
// The contract is the wire's: KServe's inference protocol v2 over HTTP with its binary tensor extension.
// `FEATURES` FP32 [hits, 3] (r in mm, phi in rad, z in mm) gives `LABELS` INT64 [hits], -1 for no track.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <vector>

#include "http.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the protocol's binary tensors are little-endian: swap the bytes on this machine"
#endif

namespace {

constexpr int kTimeoutSeconds = 120;
const std::set<int> kPixelVolumes = {7, 8, 9};  // those the shipped networks were trained on

constexpr const char* kUsage =
    "track_event HITS.csv [--server 127.0.0.1:8000] [--model tracking] [--labels FILE]\n"
    "HITS.csv: plain TrackML CSV; unpack a .csv.gz with gunzip. --model: as the server calls it.";

struct Options {
  std::string hits, labels, model = "tracking";
  http::Address server{"127.0.0.1", "8000"};
};

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--server" && i + 1 < count) {
      const std::string text = words[++i];
      const std::size_t colon = text.rfind(':');
      if (colon == std::string::npos) throw std::runtime_error("--server takes host:port");
      options.server = {text.substr(0, colon), text.substr(colon + 1)};
    } else if (word == "--model" && i + 1 < count) {
      options.model = words[++i];
    } else if (word == "--labels" && i + 1 < count) {
      options.labels = words[++i];
    } else if (options.hits.empty() && word.rfind("--", 0) != 0) {
      options.hits = word;
    } else {
      throw std::runtime_error("cannot use argument " + word + "; " + kUsage);
    }
  }
  if (options.hits.empty()) throw std::runtime_error(std::string("give a hits file; ") + kUsage);
  return options;
}

// r, phi, z of the pixel hits of a TrackML file: hit_id,x,y,z,volume_id,...
std::vector<float> read_features(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<float> features;
  std::string line;
  std::getline(file, line);  // names
  for (int number = 2; std::getline(file, line); ++number) {
    long long hit = 0;
    double x = 0, y = 0, z = 0;
    int volume = 0;
    if (std::sscanf(line.c_str(), "%lld,%lf,%lf,%lf,%d", &hit, &x, &y, &z, &volume) != 5) {
      throw std::runtime_error(path + " line " + std::to_string(number) + " is no hit");
    }
    if (kPixelVolumes.count(volume) == 0) continue;
    for (const double value : {std::hypot(x, y), std::atan2(y, x), z}) features.push_back(static_cast<float>(value));
  }
  return features;
}

// The JSON object with this name, without white space: all this program needs of JSON.
std::string object_named(const std::string& json, const std::string& name) {
  std::string text;
  for (const char c : json) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) text += c;
  }
  const std::size_t at = text.find("\"name\":\"" + name + "\"");
  const std::size_t begin = at == std::string::npos ? at : text.rfind('{', at);
  if (begin == std::string::npos) throw std::runtime_error("the server has no tensor " + name);
  int depth = 0;
  for (std::size_t end = begin; end < text.size(); ++end) {
    depth += text[end] == '{' ? 1 : text[end] == '}' ? -1 : 0;
    if (depth == 0) return text.substr(begin, end - begin + 1);
  }
  throw std::runtime_error("the server's JSON ends early");
}

void require(const std::string& object, const std::string& member) {
  if (object.find(member) == std::string::npos) throw std::runtime_error(object + " lacks " + member);
}

http::Answer ask(const http::Address& server, const std::string& what, const std::string& headers,
                 const std::string& body) {
  http::Answer answer = http::request(server, what, headers, body, kTimeoutSeconds);
  if (answer.status != 200) {
    throw std::runtime_error("the server answers " + std::to_string(answer.status) + ": " + answer.body);
  }
  return answer;
}

// What the server says it takes and gives, before the first event.
void check_metadata(const http::Address& server, const std::string& model) {
  const std::string json = ask(server, "GET /v2/models/" + model, "", "").body;
  const std::string features = object_named(json, "FEATURES"), labels = object_named(json, "LABELS");
  require(features, "\"datatype\":\"FP32\"");
  require(features, "\"shape\":[-1,3]");
  require(labels, "\"datatype\":\"INT64\"");
  require(labels, "\"shape\":[-1]");
}

std::vector<std::int64_t> track(const http::Address& server, const std::string& model,
                                const std::vector<float>& features) {
  const std::size_t hits = features.size() / 3, bytes = features.size() * sizeof(float);
  std::ostringstream json;
  json << R"({"inputs":[{"name":"FEATURES","datatype":"FP32","shape":[)" << hits
       << R"(,3],"parameters":{"binary_data_size":)" << bytes
       << R"(}}],"outputs":[{"name":"LABELS","parameters":{"binary_data":true}}]})";
  std::string body = json.str();
  const std::string headers =
      "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: " + std::to_string(body.size()) +
      "\r\n";
  body.append(reinterpret_cast<const char*>(features.data()), bytes);
  http::Answer answer = ask(server, "POST /v2/models/" + model + "/infer", headers, body);

  const std::size_t head = http::to_size(answer.headers["inference-header-content-length"]);
  if (head > answer.body.size()) throw std::runtime_error("the answer's JSON is longer than the answer");
  const std::string output = object_named(answer.body.substr(0, head), "LABELS");
  std::vector<std::int64_t> labels(hits);
  const std::size_t expected = labels.size() * sizeof(std::int64_t);
  require(output, "\"datatype\":\"INT64\"");
  require(output, "\"shape\":[" + std::to_string(hits) + "]");
  require(output, "\"binary_data_size\":" + std::to_string(expected));
  if (answer.body.size() != head + expected) throw std::runtime_error("the answer holds another number of labels");
  if (expected > 0) std::memcpy(labels.data(), answer.body.data() + head, expected);
  return labels;
}

int run(const Options& options) {
  const std::vector<float> features = read_features(options.hits);
  check_metadata(options.server, options.model);
  const std::vector<std::int64_t> labels = track(options.server, options.model, features);
  if (!options.labels.empty()) {
    std::ofstream file(options.labels);
    for (const std::int64_t label : labels) file << label << '\n';
    if (!file.flush()) throw std::runtime_error("cannot write " + options.labels);
  }
  const auto on_track = std::count_if(labels.begin(), labels.end(), [](std::int64_t label) { return label >= 0; });
  const std::int64_t tracks = labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1;
  const double share =
      labels.empty() ? 0.0 : 100.0 * static_cast<double>(on_track) / static_cast<double>(labels.size());
  std::printf("%zu hits, %lld tracks, %.0f%% of the hits on a track\n", labels.size(), static_cast<long long>(tracks),
              share);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run(parse(count, words));
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
