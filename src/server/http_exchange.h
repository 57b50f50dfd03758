// One HTTP request and its answer, between a connection and whatever handles it. The handler may answer from
// any thread, at once (`send`) or piece by piece (`start_stream`, `write`, `finish`); it is told when the
// client leaves. Knows no socket: the connection gives `notify` and takes the output.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace volant {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // "GET"
  std::string target;  // as sent: "/api/feedback?limit=5"
  std::string path;    // decoded, without the query: "/api/feedback"
  std::map<std::string, std::string> query;
  HttpHeaders headers;  // names in lower case
  std::string body;
  std::string peer;  // the client's address, without the port
  bool keep_alive = true;
  bool http_1_0 = false;

  // The first header of that name (lower case), or nullptr.
  const std::string* header(std::string_view name) const;
  // How often the header occurs.
  size_t header_count(std::string_view name) const;
};

// Splits and decodes "/a%20b?x=1&y=2" into request.path and request.query.
// kInvalidArgument on a broken escape.
Status parse_target(std::string_view target, HttpRequest& request);

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;  // without Content-Length, Date, Connection
  std::string body;
  std::string_view fixed_body;  // sent instead of `body` when that is empty; outlives the server
};

class HttpExchange {
 public:
  // `notify` wakes the connection; called from any thread, without locks held.
  HttpExchange(HttpRequest request, size_t max_buffered_bytes, std::function<void()> notify);

  const HttpRequest& request() const { return request_; }

  // The whole answer. Later calls, and calls after start_stream, do nothing.
  void send(HttpResponse response);
  // Head of an answer that comes in pieces; the body of `head` is not sent.
  void start_stream(HttpResponse head);
  // A piece. False when the client has left, or reads so slowly that it is cut off: stop working for it.
  bool write(std::string_view bytes);
  // The end of a stream.
  void finish();
  // The client has left, or the connection was ended.
  bool closed() const;
  // Called at most once, when the client leaves before the end of the answer; at once when it already has.
  // Runs on the thread that notices, so it must be short.
  void on_close(std::function<void()> callback);

  // A short name of what was asked, for metrics ("/v1/chat/completions");
  // set by the handler before it answers.
  void set_route(std::string route);
  std::string route() const;

  // --- for the connection
  struct Output {
    bool has_head = false;  // this output begins the answer
    bool streamed = false;
    HttpResponse head;
    std::string bytes;      // of a stream
    bool finished = false;  // nothing follows
    bool aborted = false;   // ends without a proper end
  };
  // What is new since the last call.
  Output take();
  bool has_output() const;
  // The client has left.
  void close();
  // The answer is complete: on_close is not called any more.
  void complete();
  // What handlers hold: when the last copy goes without an answer, the client gets status 500.
  static std::shared_ptr<HttpExchange> handle(std::shared_ptr<HttpExchange> exchange);

 private:
  void abandon();

  const HttpRequest request_;
  const size_t max_buffered_bytes_;
  const std::function<void()> notify_;
  mutable std::mutex mutex_;
  HttpResponse head_;
  std::string pending_, route_;
  bool head_set_ = false, head_taken_ = false, streamed_ = false, finished_ = false, finish_taken_ = false;
  bool aborted_ = false, closed_ = false, complete_ = false;
  std::function<void()> on_close_;
};

using HttpExchangePtr = std::shared_ptr<HttpExchange>;

}  // namespace volant
