// For tests: a TCP client that sends and reads bytes as they are, malformed ones too.
#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace volant {

class RawClient {
 public:
  explicit RawClient(int port) : socket_(connect_to(port)) {
    EXPECT_GE(socket_, 0) << "cannot connect to port " << port;
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~RawClient() { leave(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  static bool can_connect(int port) {
    const int socket = connect_to(port);
    if (socket >= 0) ::close(socket);
    return socket >= 0;
  }

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;  // the server closed early; the test looks at what it said
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  // Everything up to and with `end`, or up to the end of the connection.
  std::string read_until(std::string_view end) {
    for (;;) {
      const size_t at = got_.find(end);
      if (at != std::string::npos) {
        std::string out = got_.substr(0, at + end.size());
        got_.erase(0, at + end.size());
        return out;
      }
      if (!read_some()) return std::exchange(got_, {});
    }
  }
  std::string read_all() {
    while (read_some()) {
    }
    return std::exchange(got_, {});
  }
  void leave() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

 private:
  static int connect_to(int port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
    ::close(socket);
    return -1;
  }
  bool read_some() {
    char bytes[4096];
    const ssize_t n = ::recv(socket_, bytes, sizeof bytes, 0);
    if (n > 0) got_.append(bytes, static_cast<size_t>(n));
    return n > 0;
  }

  int socket_;
  std::string got_;
};

}  // namespace volant
