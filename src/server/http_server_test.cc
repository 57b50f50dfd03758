// The HTTP server over real sockets: well-formed, malformed, slow, too large, and clients that leave.
#include "server/http_server.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "server/raw_client.h"

namespace volant {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

HttpOptions quick_options() {
  HttpOptions options;
  options.port = 0;
  options.n_workers = 2;
  options.max_header_bytes = 1024;
  options.max_body_bytes = 2048;
  return options;
}

HttpServer::Handler echo() {
  return [](const HttpExchangePtr& exchange) {
    const HttpRequest& request = exchange->request();
    exchange->send({.status = 200,
                    .headers = {{"Content-Type", "text/plain"}},
                    .body = request.method + " " + request.path + " " + request.body,
                    .fixed_body = {}});
  };
}

std::unique_ptr<HttpServer> start(const HttpOptions& options, HttpServer::Handler handler,
                                  HttpServer::OnDone on_done = {}) {
  auto server = HttpServer::start(options, std::move(handler), std::move(on_done));
  EXPECT_TRUE(server) << server.error().to_string();
  return std::move(server).value();
}

TEST(HttpServerTest, AnswersAndKeepsTheConnection) {
  const auto server = start(quick_options(), echo());
  RawClient client(server->port());
  client.send("GET /a%20b?x=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.read_until("GET /a b "), StartsWith("HTTP/1.1 200 OK\r\n"));
  client.send("POST /second HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_THAT(client.read_until("POST /second body"), HasSubstr("Connection: keep-alive"));
}

TEST(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  const auto server = start(quick_options(), echo());
  RawClient client(server->port());
  client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_all();
  EXPECT_LT(all.find("GET /1"), all.find("GET /2"));
  EXPECT_THAT(all, EndsWith("GET /2 "));
}

TEST(HttpServerTest, HeadHasTheLengthAndNoBody) {
  const auto server = start(quick_options(), echo());
  RawClient client(server->port());
  client.send("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_all();
  EXPECT_THAT(all, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_THAT(all, EndsWith("\r\n\r\n"));
}

TEST(HttpServerTest, ReadsAChunkedBodyAndSaysContinue) {
  const auto server = start(quick_options(), echo());
  RawClient client(server->port());
  client.send("POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue"));
  client.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_THAT(client.read_until("POST /c abcde"), HasSubstr("200 OK"));
}

struct BadRequest {
  const char* name;
  std::string bytes;
  const char* status;
};
class MalformedTest : public testing::TestWithParam<BadRequest> {};

TEST_P(MalformedTest, IsRefusedAndTheServerGoesOn) {
  const auto server = start(quick_options(), echo());
  RawClient client(server->port());
  client.send(GetParam().bytes);
  const std::string all = client.read_all();
  EXPECT_THAT(all, StartsWith(std::string("HTTP/1.1 ") + GetParam().status)) << GetParam().name;
  EXPECT_THAT(all, HasSubstr("\"error\":{\"message\":"));
  RawClient next(server->port());
  next.send("GET /ok HTTP/1.0\r\n\r\n");
  EXPECT_THAT(next.read_all(), EndsWith("GET /ok "));
}

INSTANTIATE_TEST_SUITE_P(
    Requests, MalformedTest,
    testing::Values(
        BadRequest{"no HTTP", "hello there\r\n\r\n", "400"},
        BadRequest{"bad method", "G@T / HTTP/1.1\r\n\r\n", "400"},
        BadRequest{"bad version", "GET / HTTP/9.9\r\n\r\n", "400"},
        BadRequest{"header without colon", "GET / HTTP/1.1\r\nHost h\r\n\r\n", "400"},
        BadRequest{"two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                   "400"},
        BadRequest{"negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"},
        BadRequest{"length and chunks",
                   "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                   "400"},
        BadRequest{"bad chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n", "400"},
        BadRequest{"long head", "GET /" + std::string(4000, 'a') + " HTTP/1.1\r\n\r\n", "431"},
        BadRequest{"many headers", "GET / HTTP/1.1\r\nX: " + std::string(4000, 'b') + "\r\n\r\n", "431"},
        BadRequest{"declared body", "POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n", "413"},
        BadRequest{
            "chunked body",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + std::string(4096, 'c') + "\r\n",
            "413"},
        BadRequest{"broken escape", "GET /%zz HTTP/1.1\r\nConnection: close\r\n\r\n", "400"},
        BadRequest{"absolute target", "GET http://other/ HTTP/1.1\r\nConnection: close\r\n\r\n", "400"}),
    [](const auto& param) {
      std::string name = param.param.name;
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

TEST(HttpServerTest, StreamsPiecesAsChunks) {
  const auto server = start(quick_options(), [](const HttpExchangePtr& exchange) {
    exchange->start_stream(
        {.status = 200, .headers = {{"Content-Type", "text/event-stream"}}, .body = {}, .fixed_body = {}});
    std::thread([exchange] {
      EXPECT_TRUE(exchange->write("data: 1\n\n"));
      EXPECT_TRUE(exchange->write("data: 2\n\n"));
      exchange->finish();
    }).detach();
  });
  RawClient client(server->port());
  client.send("GET /s HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string all = client.read_until("0\r\n\r\n");
  EXPECT_THAT(all, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(all, HasSubstr("data: 1\n\n"));
  EXPECT_THAT(all, HasSubstr("data: 2\n\n"));
  client.send("GET /s HTTP/1.1\r\nHost: h\r\n\r\n");  // and the connection lives on
  EXPECT_THAT(client.read_until("0\r\n\r\n"), HasSubstr("data: 2"));
}

TEST(HttpServerTest, EachOfManyStreamsGetsItsPiecesWhenOneThreadWritesThemInTurns) {
  constexpr size_t kStreams = 16;
  constexpr int kPieces = 200;
  std::mutex mutex;
  std::vector<HttpExchangePtr> exchanges;
  std::promise<void> all_there;
  const auto server = start(quick_options(), [&](const HttpExchangePtr& exchange) {
    exchange->start_stream({.status = 200, .headers = {}, .body = {}, .fixed_body = {}});
    const std::lock_guard lock(mutex);
    exchanges.push_back(exchange);
    if (exchanges.size() == kStreams) all_there.set_value();
  });
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->send(fmt::format("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", i));
  }
  all_there.get_future().wait();
  for (int piece = 0; piece < kPieces; ++piece)
    for (const HttpExchangePtr& exchange : exchanges)
      EXPECT_TRUE(exchange->write(fmt::format("<{}:{}>", exchange->request().path, piece)));
  for (const HttpExchangePtr& exchange : exchanges) exchange->finish();
  for (size_t i = 0; i < kStreams; ++i) {
    const std::string all = clients[i]->read_until("\r\n0\r\n\r\n");
    size_t at = 0;
    for (int piece = 0; piece < kPieces && at != std::string::npos; ++piece)
      at = all.find(fmt::format("</{}:{}>", i, piece), at);
    EXPECT_NE(at, std::string::npos) << "stream " << i;
  }
}

TEST(HttpServerTest, ABodyLongerThanTheSocketTakesAtOnceArrivesWhole) {
  std::string body(6 << 20, ' ');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i * 7919 % 26);
  const auto server = start(quick_options(), [&](const HttpExchangePtr& exchange) {
    exchange->send({.status = 200, .headers = {}, .body = body + "!end", .fixed_body = {}});
  });
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the socket is full by now
  EXPECT_THAT(client.read_until("!end"), EndsWith(body + "!end"));
}

TEST(HttpServerTest, TellsTheHandlerWhenTheClientLeaves) {
  std::promise<void> left;
  std::promise<int> status;
  HttpExchangePtr kept;
  std::mutex mutex;
  const auto server = start(
      quick_options(),
      [&](const HttpExchangePtr& exchange) {
        exchange->on_close([&left] { left.set_value(); });
        const std::lock_guard lock(mutex);
        kept = exchange;
      },
      [&](const HttpExchange&, int code, double) { status.set_value(code); });
  {
    RawClient client(server->port());
    client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    while (true) {
      const std::lock_guard lock(mutex);
      if (kept) break;
    }
  }
  ASSERT_EQ(left.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(status.get_future().get(), 499);
  EXPECT_TRUE(kept->closed());
  EXPECT_FALSE(kept->write("late"));
}

TEST(HttpServerTest, CutsOffAClientThatDoesNotRead) {
  HttpOptions options = quick_options();
  options.max_stream_buffer_bytes = 64 << 10;
  std::promise<void> cut;
  const auto server = start(options, [&](const HttpExchangePtr& exchange) {
    exchange->start_stream({});
    const std::string piece(8 << 10, 'x');
    while (exchange->write(piece)) {
    }
    cut.set_value();
  });
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(cut.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

TEST(HttpServerTest, EndsSlowHeadersBodiesAndIdleConnections) {
  HttpOptions options = quick_options();
  options.header_timeout_s = 0.1;
  options.body_timeout_s = 0.1;
  options.idle_timeout_s = 0.2;
  const auto server = start(options, echo());
  RawClient head(server->port());
  head.send("GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(head.read_all(), "");
  RawClient body(server->port());
  body.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.read_all(), "");
  RawClient idle(server->port());
  EXPECT_EQ(idle.read_all(), "");
}

TEST(HttpServerTest, GivesUpOnAHandlerThatNeverAnswers) {
  HttpOptions options = quick_options();
  options.response_timeout_s = 0.1;
  HttpExchangePtr kept;
  const auto server = start(options, [&](const HttpExchangePtr& exchange) { kept = exchange; });
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 504"));
}

TEST(HttpServerTest, AnswersForAHandlerThatForgot) {
  const auto server = start(quick_options(), [](const HttpExchangePtr&) {});
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 500"));
}

TEST(HttpServerTest, SurvivesAHandlerThatThrows) {
  const auto server =
      start(quick_options(), [](const HttpExchangePtr&) { throw std::runtime_error("boom"); });
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 500"));
}

TEST(HttpServerTest, RefusesMoreConnectionsThanAllowed) {
  HttpOptions options = quick_options();
  options.max_connections = 2;
  const auto server = start(options, echo());
  RawClient first(server->port());
  RawClient second(server->port());
  first.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
  second.send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  first.read_until("GET /1");
  second.read_until("GET /2");
  RawClient third(server->port());
  EXPECT_THAT(third.read_all(), StartsWith("HTTP/1.1 503"));
}

TEST(HttpServerTest, RefusesMoreRequestsThanTheQueueHolds) {
  HttpOptions options = quick_options();
  options.n_workers = 1;
  options.max_queue = 1;
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::atomic<int> entered{0};
  const auto server = start(options, [&](const HttpExchangePtr& exchange) {
    ++entered;
    released.wait();
    exchange->send({});
  });
  RawClient a(server->port());
  RawClient b(server->port());
  RawClient c(server->port());
  a.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  while (entered == 0) std::this_thread::yield();
  b.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  while (server->waiting() == 0) std::this_thread::yield();
  c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(c.read_until("}}"), StartsWith("HTTP/1.1 503"));
  release.set_value();
  EXPECT_THAT(a.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(b.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerTest, DrainFinishesWhatRunsAndClosesIdleConnections) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::promise<void> entered;
  const auto server = start(quick_options(), [&](const HttpExchangePtr& exchange) {
    entered.set_value();
    released.wait();
    exchange->send({.status = 200, .headers = {}, .body = "done", .fixed_body = {}});
  });
  RawClient idle(server->port());
  RawClient busy(server->port());
  busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  entered.get_future().wait();
  std::future<bool> drained = std::async(std::launch::async, [&] { return server->drain(20); });
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_FALSE(RawClient::can_connect(server->port()));
  release.set_value();
  EXPECT_THAT(busy.read_all(), EndsWith("done"));
  EXPECT_TRUE(drained.get());
}

TEST(HttpServerTest, DrainCutsWhatTakesTooLong) {
  HttpExchangePtr kept;
  std::promise<void> entered;
  auto server = start(quick_options(), [&](const HttpExchangePtr& exchange) {
    kept = exchange;
    entered.set_value();
  });
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  entered.get_future().wait();
  EXPECT_FALSE(server->drain(0.05));
  EXPECT_TRUE(kept->closed());
  server.reset();
  kept->send({});  // after the server: nothing happens
}

TEST(HttpServerTest, NamesTheFlagWhenThePortIsTaken) {
  const auto server = start(quick_options(), echo());
  HttpOptions options = quick_options();
  options.port = server->port();
  const auto second = HttpServer::start(options, echo());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_THAT(second.error().message, HasSubstr("--port"));
}

TEST(HttpServerTest, ServesManyClientsAtOnce) {
  const auto server = start(quick_options(), echo());
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      RawClient client(server->port());
      for (int i = 0; i < 50; ++i) {
        const std::string path = fmt::format("/{}/{}", t, i);
        client.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
        if (client.read_until("GET " + path + " ").starts_with("HTTP/1.1 200")) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 400);
}

TEST(ParseTargetTest, SplitsPathAndQuery) {
  HttpRequest request;
  ASSERT_TRUE(parse_target("/api/x%2Fy?limit=5&q=a+b%20c&flag", request));
  EXPECT_EQ(request.path, "/api/x/y");
  EXPECT_EQ(request.query.at("limit"), "5");
  EXPECT_EQ(request.query.at("q"), "a b c");
  EXPECT_EQ(request.query.at("flag"), "");
  for (const char* bad : {"", "x", "*", "/%", "/%4", "/%00", "/?a=%g1"}) {
    EXPECT_FALSE(parse_target(bad, request)) << bad;
  }
}

}  // namespace
}  // namespace volant
