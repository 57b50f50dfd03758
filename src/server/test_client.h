// For tests: a server on a free port, and requests to it with their replies as text and JSON.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "server/raw_client.h"
#include "server/server.h"

namespace volant {

struct Reply {
  int status = 0;
  std::string head, body;
  Json json() const { return parse_json(body).value_or(Json()); }
  std::string text(std::string_view pointer) const {
    boost::json::error_code error;
    const Json parsed = json();
    const Json* found = parsed.find_pointer(pointer, error);
    return found == nullptr     ? "(missing)"
           : found->is_string() ? std::string(found->get_string())
                                : dump_json(*found);
  }
};

inline std::string request_text(const std::string& method, const std::string& path, const std::string& body,
                                const std::string& more = "Connection: close\r\n") {
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      method, path, more, body.size(), body);
}

inline Reply parse_reply(const std::string& all) {
  Reply reply;
  const size_t end = all.find("\r\n\r\n");
  if (!all.starts_with("HTTP/1.1 ") || end == std::string::npos) return reply;
  reply.status = std::stoi(all.substr(9, 3));
  reply.head = all.substr(0, end);
  reply.body = all.substr(end + 4);
  return reply;
}

inline Reply ask(int port, const std::string& method, const std::string& path, const std::string& body = "",
                 const std::string& more = "") {
  RawClient client(port);
  client.send(request_text(method, path, body, "Connection: close\r\n" + more));
  return parse_reply(client.read_all());
}

// The data lines of a streamed answer, chunk framing removed.
inline std::vector<Json> events_of(const std::string& body) {
  std::vector<Json> events;
  for (size_t at = body.find("data: "); at != std::string::npos; at = body.find("data: ", at + 1)) {
    const auto event = parse_json(body.substr(at + 6, body.find('\n', at) - at - 6));
    if (event) events.push_back(*event);
  }
  return events;
}

inline ServerOptions quick_options() {
  ServerOptions options;
  options.http.port = 0;
  options.models.engine.n_threads = 1;
  options.models.engine.n_slots = 4;
  options.models.poll_seconds = 0.02;
  options.drain_seconds = 20;
  return options;
}

inline std::unique_ptr<Server> start(const ServerOptions& options, Workspace* workspace) {
  auto server = Server::start(options, workspace);
  EXPECT_TRUE(server) << server.error().to_string();
  return server ? std::move(*server) : nullptr;
}

}  // namespace volant
