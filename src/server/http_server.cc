// The one file that sees Boost.Beast and Asio (they compile slowly). Beast parses requests; answers are
// written by hand, which keeps the serializers out. All connection state lives on the one network thread.
#include "server/http_server.h"

#if defined(__SANITIZE_THREAD__)
#define BOOST_ASIO_DISABLE_FENCED_BLOCK  // fences are what the sanitizer cannot see; Asio's locks do without
                                         // them
#endif

#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <condition_variable>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "server/http_text.h"

namespace volant {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::use_awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = http::request_parser<http::string_body>;

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// What a request that could not be read is answered with;
// status 0: nothing, the client is gone or has nothing to say.
HttpResponse parse_error_response(const error_code& error, const HttpOptions& options) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return plain_error(
        431, "headers_too_large",
        fmt::format("the head of the request is longer than {} bytes", options.max_header_bytes));
  }
  if (error == http::error::body_limit) {
    return plain_error(
        413, "body_too_large",
        fmt::format("the body of the request is longer than {} bytes", options.max_body_bytes));
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message ||
      error.category() != http::make_error_code(http::error::bad_method).category()) {
    HttpResponse nothing;
    nothing.status = 0;
    return nothing;
  }
  return plain_error(400, "bad_http", "not a valid HTTP/1.1 request: " + error.message());
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(HttpOptions options, Handler handler, OnDone on_done)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        on_done_(std::move(on_done)),
        acceptor_(*io_),
        workers_(std::make_shared<WorkerPool>(options_.n_workers, options_.max_queue)) {}

  ~Impl() { drain(0); }  // NOLINT(bugprone-exception-escape): only for want of memory, where ending is right

  Status listen() {
    error_code error;
    const std::string host = options_.host == "localhost" ? "127.0.0.1" : options_.host;
    const auto address = asio::ip::make_address(host, error);
    if (error) {
      return fail(ErrorCode::kInvalidArgument, "expected an IP address or 'localhost' to listen on, got '{}'",
                  options_.host);
    }
    if (options_.port < 0 || options_.port > 65535) {
      return fail(ErrorCode::kInvalidArgument, "expected a port from 0 to 65535, got {}", options_.port);
    }
    const tcp::endpoint endpoint(address, static_cast<uint16_t>(options_.port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use) {
      return fail(ErrorCode::kConflict,
                  "port {} of {} is in use by another program; choose another one with --port", options_.port,
                  options_.host);
    }
    if (error == asio::error::access_denied) {
      return fail(ErrorCode::kForbidden,
                  "port {} is not allowed for this user; choose one above 1023 with --port", options_.port);
    }
    if (error) {
      return fail(ErrorCode::kIo, "cannot listen on {} port {}: {}", options_.host, options_.port,
                  error.message());
    }
    port_ = acceptor_.local_endpoint().port();
    asio::co_spawn(*io_, accept(), asio::detached);
    thread_ = std::thread([this] { io_->run(); });
    return {};
  }

  int port() const { return port_; }
  size_t connections() const { return n_connections_.load(); }
  size_t waiting() const { return workers_->waiting(); }
  std::shared_ptr<WorkerPool> workers() const { return workers_; }

  bool drain(double limit_s) {
    if (!thread_.joinable()) return true;
    asio::post(*io_, [this] { begin_drain(); });
    bool clean = true;
    {
      std::unique_lock lock(drained_mutex_);
      clean = drained_.wait_for(lock, milliseconds(limit_s), [&] { return n_connections_.load() == 0; });
    }
    asio::post(*io_, [this] {
      for (Connection* connection : connections_) connection->cut();
    });
    thread_.join();  // run() ends when the last connection has gone
    workers_->stop();
    return clean;
  }

 private:
  // One client. Lives in its coroutine; everything here is touched on the network thread only.
  struct Connection : std::enable_shared_from_this<Connection> {
    explicit Connection(tcp::socket socket) : stream(std::move(socket)), wake(stream.get_executor()) {}
    void cut() {
      error_code ignored;
      stream.socket().close(ignored);
      if (exchange) exchange->close();
      wake.cancel();
    }
    beast::tcp_stream stream;
    asio::steady_timer wake;  // cancelled when the exchange has news
    std::shared_ptr<HttpExchange> exchange;
    std::string peer;
    bool idle = true;       // no request has begun
    bool unread = false;    // the client was answered before all it sent was read
    bool watching = false;  // an async_wait for the client's leaving is under way
  };
  using ConnectionPtr = std::shared_ptr<Connection>;

  // Connections whose exchanges have news. Whoever puts in the first one wakes the network thread, which
  // takes them all: a step of the model gives each of its streams a piece at nearly the same moment.
  struct News {
    std::mutex mutex;
    std::vector<std::weak_ptr<Connection>> connections;
  };

  // Tells the connection from any thread that its exchange has news.
  std::function<void()> notifier(const ConnectionPtr& connection) const {
    return [io = io_, news = news_, weak = std::weak_ptr<Connection>(connection)] {
      {
        const std::lock_guard lock(news->mutex);
        news->connections.push_back(weak);
        if (news->connections.size() > 1) return;
      }
      asio::post(*io, [news] { hand_out(*news); });
    };
  }

  static void hand_out(News& news) {
    std::vector<std::weak_ptr<Connection>> connections;
    {
      const std::lock_guard lock(news.mutex);
      connections.swap(news.connections);
    }
    for (const auto& each : connections)
      if (const ConnectionPtr alive = each.lock()) alive->wake.cancel();
  }

  void begin_drain() {
    draining_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    for (Connection* connection : connections_) {
      if (connection->idle) connection->cut();
    }
  }

  asio::awaitable<void> accept() {
    while (acceptor_.is_open()) {
      error_code error;
      tcp::socket socket = co_await acceptor_.async_accept(asio::redirect_error(use_awaitable, error));
      if (!acceptor_.is_open()) break;
      if (error) {  // no file descriptor left, or the client has gone already
        asio::steady_timer pause(*io_, milliseconds(0.05));
        co_await pause.async_wait(asio::redirect_error(use_awaitable, error));
        continue;
      }
      if (connections_.size() >= options_.max_connections) {
        refuse(socket);
        continue;
      }
      auto connection = std::make_shared<Connection>(std::move(socket));
      connections_.insert(connection.get());
      n_connections_ = connections_.size();
      asio::co_spawn(*io_, serve(connection), [this, connection](const std::exception_ptr& thrown) {
        if (thrown) log_error("a connection ended by an exception; this is a defect of Volant");
        forget(connection);
      });
    }
  }

  void forget(const ConnectionPtr& connection) {
    connection->cut();
    connections_.erase(connection.get());
    {
      const std::lock_guard lock(drained_mutex_);
      n_connections_ = connections_.size();
    }
    drained_.notify_all();
  }

  // Over the limit of connections: one try to say so.
  void refuse(tcp::socket& socket) const {
    const HttpResponse response = plain_error(
        503, "too_many_connections", fmt::format("more than {} connections", options_.max_connections));
    const std::string text = whole_text(response, false, false);
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(text), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
  }

  // All requests of one connection.
  asio::awaitable<void> serve(ConnectionPtr connection) {
    error_code error;
    connection->stream.socket().set_option(tcp::no_delay(true), error);
    const auto endpoint = connection->stream.socket().remote_endpoint(error);
    if (!error) connection->peer = endpoint.address().to_string();
    beast::flat_buffer buffer;  // bounded by the parser's limits
    bool keep_alive = true;
    while (keep_alive && !draining_) {
      keep_alive = co_await serve_one(connection, buffer);
    }
    connection->stream.socket().shutdown(tcp::socket::shutdown_send, error);
    if (connection->unread || buffer.size() > 0) co_await linger(connection);
  }

  // Reads on for a moment after an early answer,
  // so that closing does not destroy it on its way (RFC 9112, 9.6).
  asio::awaitable<void> linger(const ConnectionPtr& connection) {
    char waste[4096];
    connection->stream.expires_after(std::chrono::milliseconds(500));
    for (int i = 0; i < 256 && connection->stream.socket().is_open(); ++i) {
      error_code error;
      co_await connection->stream.async_read_some(asio::buffer(waste),
                                                  asio::redirect_error(use_awaitable, error));
      if (error) break;
    }
  }

  // One request and its answer; false when the connection must end.
  asio::awaitable<bool> serve_one(const ConnectionPtr& connection, beast::flat_buffer& buffer) {
    error_code error;
    connection->idle = true;
    if (buffer.size() == 0) {
      connection->stream.expires_after(milliseconds(options_.idle_timeout_s));
      const size_t n = co_await connection->stream.async_read_some(
          buffer.prepare(4096), asio::redirect_error(use_awaitable, error));
      if (error) co_return false;
      buffer.commit(n);
    }
    connection->idle = false;
    Parser parser;
    parser.header_limit(static_cast<uint32_t>(options_.max_header_bytes));
    parser.body_limit(options_.max_body_bytes);
    connection->stream.expires_after(milliseconds(options_.header_timeout_s));
    co_await http::async_read_header(connection->stream, buffer, parser,
                                     asio::redirect_error(use_awaitable, error));
    if (!error && !parser.is_done()) {
      co_await read_body(connection, buffer, parser, error);
    }
    const double started = steady_seconds();
    HttpRequest request;
    if (error) {
      connection->unread = true;
      const HttpResponse response = parse_error_response(error, options_);
      if (response.status != 0) co_await write_whole(connection, response, false, false, error);
      co_return false;
    }
    const bool keep_alive = take_request(parser, request);
    request.peer = connection->peer;
    const bool head_only = request.method == "HEAD";
    if (Status parsed = parse_target(std::string(request.target), request); !parsed) {
      co_await write_whole(connection, plain_error(400, "bad_url", parsed.error().message), head_only,
                           keep_alive, error);
      co_return keep_alive && !error;
    }
    connection->exchange = std::make_shared<HttpExchange>(
        std::move(request), options_.max_stream_buffer_bytes, notifier(connection));
    dispatch(connection->exchange);
    watch(connection);
    int status = 499;
    const bool kept = co_await answer(connection, head_only, keep_alive, status);
    connection->exchange->complete();
    if (on_done_) on_done_(*connection->exchange, status, steady_seconds() - started);
    connection->exchange.reset();
    if (kept && connection->watching) connection->stream.socket().cancel(error);
    co_return kept;
  }

  asio::awaitable<void> read_body(const ConnectionPtr& connection, beast::flat_buffer& buffer, Parser& parser,
                                  error_code& error) {
    connection->stream.expires_after(milliseconds(options_.body_timeout_s));
    const auto expect = parser.get().find(http::field::expect);
    if (expect != parser.get().end() && beast::iequals(expect->value(), "100-continue")) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await asio::async_write(connection->stream, asio::buffer(kContinue.data(), kContinue.size()),
                                 asio::redirect_error(use_awaitable, error));
      if (error) co_return;
    }
    co_await http::async_read(connection->stream, buffer, parser, asio::redirect_error(use_awaitable, error));
  }

  // Moves the parsed message over; true when the connection may go on after it.
  static bool take_request(Parser& parser, HttpRequest& request) {
    auto& message = parser.get();
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.http_1_0 = message.version() < 11;
    request.keep_alive = message.keep_alive();
    for (const auto& field : message) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
      request.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    request.body = std::move(message.body());
    return request.keep_alive;
  }

  void dispatch(const std::shared_ptr<HttpExchange>& exchange) {
    const HttpExchangePtr handle = HttpExchange::handle(exchange);
    const bool taken = workers_->try_post([this, handle] {
      try {
        handler_(handle);
      } catch (const std::exception& thrown) {
        log_error("{} {} ended by an exception: {}", handle->request().method, handle->request().path,
                  thrown.what());
        handle->send(plain_error(500, "internal_error", "this is a defect of Volant; its log says more"));
      }
    });
    if (!taken) {
      HttpResponse response = plain_error(503, "overloaded", "too many requests wait; try again in a moment");
      response.headers.emplace_back("Retry-After", "1");
      handle->send(std::move(response));
    }
  }

  // Notices that the client leaves while its answer is being made.
  void watch(const ConnectionPtr& connection) {
    if (connection->watching) return;
    connection->watching = true;
    connection->stream.socket().async_wait(tcp::socket::wait_read, [this,
                                                                    connection](const error_code& error) {
      connection->watching = false;
      if (error || !connection->exchange || !connection->stream.socket().is_open()) return;
      char byte = 0;
      const auto got = ::recv(connection->stream.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      if (got > 0) return;  // the next request is there already: the client waits for both
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return watch(connection);
      connection->exchange->close();
    });
  }

  // Sends what the handler makes, as it comes. True when the connection may go on.
  asio::awaitable<bool> answer(const ConnectionPtr& connection, bool head_only, bool keep_alive,
                               int& status) {
    const std::shared_ptr<HttpExchange> exchange = connection->exchange;
    const bool chunked = !exchange->request().http_1_0;
    error_code error;
    for (;;) {
      if (!exchange->has_output()) {
        if (exchange->closed() || !co_await wait_for_news(connection, status)) co_return false;
        continue;
      }
      HttpExchange::Output out = exchange->take();
      keep_alive = keep_alive && !draining_;
      if (out.has_head && !out.streamed) {
        status = out.head.status;
        co_await write_whole(connection, out.head, head_only, keep_alive, error);
        co_return keep_alive && !error;
      }
      if (out.has_head) status = out.head.status;
      keep_alive = keep_alive && chunked;
      const std::string text = stream_text(out, chunked, keep_alive);
      co_await write_text(connection, text, error);
      if (error) exchange->close();
      if (error || out.aborted) co_return false;
      if (out.finished) co_return keep_alive;
    }
  }

  // Waits until the exchange has news. False when the handler took too long.
  asio::awaitable<bool> wait_for_news(const ConnectionPtr& connection, int& status) {
    connection->stream.expires_never();
    connection->wake.expires_after(milliseconds(options_.response_timeout_s));
    error_code error;
    co_await connection->wake.async_wait(asio::redirect_error(use_awaitable, error));
    if (error) co_return true;  // cancelled: news
    if (connection->exchange->has_output()) co_return true;
    if (status == 499) {
      status = 504;
      co_await write_whole(connection, plain_error(504, "timeout", "the answer took too long"), false, false,
                           error);
    }
    connection->exchange->close();
    co_return false;
  }

  asio::awaitable<void> write_whole(const ConnectionPtr& connection, const HttpResponse& response,
                                    bool head_only, bool keep_alive, error_code& error) {
    const std::string text = whole_text(response, head_only, keep_alive);
    co_await write_text(connection, text, error);
  }

  // Sends all of `text`; the time limit counts from the last progress.
  asio::awaitable<void> write_text(const ConnectionPtr& connection, std::string_view text,
                                   error_code& error) {
    // Nearly always there is room for all of it: no timer, no wait.
    const ssize_t sent = ::send(connection->stream.socket().native_handle(), text.data(), text.size(),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) text.remove_prefix(static_cast<size_t>(sent));
    while (!text.empty()) {
      connection->stream.expires_after(milliseconds(options_.write_timeout_s));
      const size_t n = co_await connection->stream.async_write_some(
          asio::buffer(text.data(), std::min<size_t>(text.size(), 256 << 10)),
          asio::redirect_error(use_awaitable, error));
      if (error) co_return;
      text.remove_prefix(n);
    }
  }

  const HttpOptions options_;
  const Handler handler_;
  const OnDone on_done_;
  // Shared with the notifiers of exchanges that outlive the server.
  const std::shared_ptr<asio::io_context> io_ = std::make_shared<asio::io_context>(1);
  const std::shared_ptr<News> news_ = std::make_shared<News>();
  tcp::acceptor acceptor_;
  std::set<Connection*> connections_;  // network thread only
  bool draining_ = false;              // network thread only
  std::atomic<size_t> n_connections_{0};
  std::mutex drained_mutex_;
  std::condition_variable drained_;
  int port_ = 0;
  std::thread thread_;
  const std::shared_ptr<WorkerPool> workers_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpOptions& options, Handler handler,
                                                      OnDone on_done) {
  auto impl = std::make_unique<Impl>(options, std::move(handler), std::move(on_done));
  TRY(impl->listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port(); }
size_t HttpServer::connections() const { return impl_->connections(); }
size_t HttpServer::waiting() const { return impl_->waiting(); }
std::shared_ptr<WorkerPool> HttpServer::workers() const { return impl_->workers(); }
bool HttpServer::drain(double limit_s) { return impl_->drain(limit_s); }

}  // namespace volant
