// HTTP/1.1 server: connections, parsing, limits and timeouts, keep-alive, streamed answers, graceful end.
// Knows no routes. One network thread; handlers run on worker threads and may answer later from any thread.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "server/http_exchange.h"
#include "server/worker_pool.h"

namespace volant {

struct HttpOptions {
  std::string host = "127.0.0.1";  // an address, or "localhost"
  int port = 8080;                 // 0: any free one
  size_t max_header_bytes = 16 << 10;
  size_t max_body_bytes = 8 << 20;
  size_t max_connections = 512;
  size_t max_queue = 256;                    // requests that wait for a worker; one more is answered with 503
  size_t max_stream_buffer_bytes = 1 << 20;  // unsent bytes of a stream before its client is cut off
  int n_workers = 4;
  double header_timeout_s = 10;     // from the first byte of a request to the end of its head
  double body_timeout_s = 30;       // for its body
  double idle_timeout_s = 75;       // between requests of a connection
  double write_timeout_s = 30;      // without progress while sending
  double response_timeout_s = 900;  // for the handler to begin its answer, and between pieces of a stream
};

class HttpServer {
 public:
  using Handler = std::function<void(const HttpExchangePtr&)>;
  // Called when an exchange ends, on the network thread;
  // status 499 when the client left before the answer began.
  using OnDone = std::function<void(const HttpExchange&, int status, double seconds)>;

  // Listens, and serves until `drain`. kConflict when the port is taken, kInvalidArgument for a bad address.
  static Result<std::unique_ptr<HttpServer>> start(const HttpOptions& options, Handler handler,
                                                   OnDone on_done = {});
  ~HttpServer();

  int port() const;
  size_t connections() const;
  size_t waiting() const;  // requests without a worker yet
  // The threads that run the handlers; may outlive the server, and then runs tasks where they are posted.
  std::shared_ptr<WorkerPool> workers() const;
  // Accepts nothing new, lets what runs finish for at most `limit_s`,
  // then cuts the rest. True when nothing was cut.
  bool drain(double limit_s);

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace volant
