// Just enough of HTTP/1.1 over a POSIX socket to ask an inference server: one request, one answer, then closed.
#pragma once

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace http {

struct Address {
  std::string host, port;
};

struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// A connected socket, closed when it goes.
class Connection {
 public:
  Connection(const Address& address, int timeout_seconds) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (const int error = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found); error != 0) {
      throw std::runtime_error(address.host + ": " + gai_strerror(error));
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
    std::string reason = "no address";
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      socket_ = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
      if (socket_ < 0) continue;
      const timeval limit{timeout_seconds, 0};
      setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      if (connect(socket_, one->ai_addr, one->ai_addrlen) == 0) return;
      reason = std::strerror(errno);
      close(socket_);
    }
    throw std::runtime_error("no server answers at " + address.host + ":" + address.port + ": " + reason);
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send_all(const std::string& bytes) const {
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t now = send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (now < 0 && errno == EINTR) continue;
      if (now <= 0) throw std::runtime_error(std::string("cannot send: ") + std::strerror(errno));
      sent += static_cast<std::size_t>(now);
    }
  }

  // Appends what has arrived; false at the end.
  bool receive(std::string& bytes) const {
    char part[1 << 16];
    for (;;) {
      const ssize_t now = recv(socket_, part, sizeof part, 0);
      if (now < 0 && errno == EINTR) continue;
      if (now < 0) throw std::runtime_error(std::string("no answer: ") + std::strerror(errno));
      bytes.append(part, static_cast<std::size_t>(now));
      return now > 0;
    }
  }

 private:
  int socket_ = -1;
};

inline std::size_t to_size(const std::string& text) {
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) {
    throw std::runtime_error("'" + text + "' is no size");
  }
  return static_cast<std::size_t>(std::stoull(text));
}

// Status and headers of the text before the empty line.
inline Answer parse_head(const std::string& head) {
  Answer answer;
  if (head.size() < 12 || head.compare(0, 7, "HTTP/1.") != 0) throw std::runtime_error("the answer is not HTTP");
  answer.status = static_cast<int>(to_size(head.substr(9, 3)));
  for (std::size_t line = head.find("\r\n"); line != std::string::npos;) {
    const std::size_t next = head.find("\r\n", line + 2);
    const std::string text = head.substr(line + 2, next == std::string::npos ? next : next - line - 2);
    if (const std::size_t colon = text.find(':'); colon != std::string::npos) {
      std::string name = text.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      const std::size_t value = text.find_first_not_of(' ', colon + 1);
      answer.headers[name] = value == std::string::npos ? "" : text.substr(value);
    }
    line = next;
  }
  return answer;
}

// Sends a request (`GET /path` or `POST /path`) with further header lines and a body.
inline Answer request(const Address& address, const std::string& what, const std::string& headers,
                      const std::string& body, int timeout_seconds) {
  const Connection connection(address, timeout_seconds);
  connection.send_all(what + " HTTP/1.1\r\nHost: " + address.host + "\r\nConnection: close\r\n" + headers +
                      "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  connection.send_all(body);
  std::string bytes;
  std::size_t end;
  while ((end = bytes.find("\r\n\r\n")) == std::string::npos) {
    if (!connection.receive(bytes)) throw std::runtime_error("the server closed the connection without an answer");
  }
  Answer answer = parse_head(bytes.substr(0, end));
  if (answer.headers.count("content-length") == 0) throw std::runtime_error("the answer has no Content-Length");
  const std::size_t size = to_size(answer.headers["content-length"]);
  bytes.erase(0, end + 4);
  while (bytes.size() < size) {
    if (!connection.receive(bytes)) throw std::runtime_error("the answer ends early");
  }
  answer.body = bytes.substr(0, size);
  return answer;
}

}  // namespace http
