// The whole server over real sockets:
// real models, a real registry, clients that come, stay, leave and misbehave.
#include "server/server.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "registry/answers.h"
#include "registry/artifacts.h"
#include "registry/versions.h"
#include "server/test_client.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using testing::ScratchDir;
using ::testing::StartsWith;

// A workspace whose versions are copies of stories260K, one byte of a note apart.
class WorkspaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    VOLANT_DATA_OR_SKIP(model, "models/stories260K");
    model_ = model;
    ASSERT_TRUE(Workspace::init(dir_.path(), "tales"));
    auto opened = Workspace::open(dir_.path());
    ASSERT_TRUE(opened) << opened.error().to_string();
    workspace_ = std::move(*opened);
  }

  // Registers a version and gives its name.
  std::string add_version(bool broken = false) {
    ++count_;
    const Path built = workspace_->registry().tmp_dir() / fmt::format("model-{}", count_);
    EXPECT_TRUE(copy_all(model_, built));
    std::ofstream(built / "note.txt") << count_;
    if (broken) std::ofstream(built / "model.safetensors") << "not weights";
    const auto artifact = put_artifact(workspace_->registry(), built, "hf_model");
    EXPECT_TRUE(artifact) << artifact.error().to_string();
    ModelVersion version;
    version.hf = artifact->digest;
    version.run_id = fmt::format("train-{}", count_);
    version.metrics = version.parity = JsonObject();
    version.gate = JsonObject{{"passed", true}, {"reasons", JsonArray{"a test"}}};
    const auto registered = register_version(workspace_->registry(), version);
    EXPECT_TRUE(registered) << registered.error().to_string();
    return registered->version;
  }
  void promote_version(const std::string& version) {
    const auto promoted = promote(workspace_->registry(), version);
    EXPECT_TRUE(promoted) << promoted.error().to_string();
  }
  static void wait_until(const std::function<bool()>& holds) {
    for (int i = 0; i < 2000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(holds());
  }

  ScratchDir dir_;
  Path model_;
  std::unique_ptr<Workspace> workspace_;
  int count_ = 0;
};

const char* const kTale =
    R"({"model":"production","prompt":"Once upon a time","max_tokens":12,"temperature":0})";

class ModelServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    VOLANT_DATA_OR_SKIP(model, "models/stories260K");
    options_ = quick_options();
    options_.model = model;
    server_ = start(options_, nullptr);
    ASSERT_NE(server_, nullptr);
  }
  Reply post(const std::string& path, const std::string& body) {
    return ask(server_->port(), "POST", path, body);
  }
  ServerOptions options_;
  std::unique_ptr<Server> server_;
};

TEST_F(ModelServerTest, ListsTheModelAndSaysItIsWell) {
  const Reply models = ask(server_->port(), "GET", "/v1/models");
  EXPECT_EQ(models.status, 200);
  EXPECT_EQ(models.text("/object"), "list");
  EXPECT_EQ(models.text("/data/0/id"), "stories260K");
  EXPECT_EQ(ask(server_->port(), "GET", "/v1/models/stories260K").text("/object"), "model");
  EXPECT_EQ(ask(server_->port(), "GET", "/v1/models/other").text("/error/code"), "model_not_found");
  EXPECT_EQ(ask(server_->port(), "GET", "/healthz").text("/status"), "ok");
}

TEST_F(ModelServerTest, ContinuesATextAsTheModelDoes) {
  const Reply reply =
      post("/v1/completions",
           R"({"model":"stories260K","prompt":"Once upon a time","max_tokens":24,"temperature":0})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(reply.text("/id"), StartsWith("cmpl-"));
  EXPECT_EQ(reply.text("/object"), "text_completion");
  EXPECT_THAT(reply.text("/choices/0/text"),
              StartsWith(", there was a little girl named Lily. She loved to play"));
  EXPECT_EQ(reply.text("/choices/0/finish_reason"), "length");
  EXPECT_EQ(reply.text("/usage"), R"({"prompt_tokens":5,"completion_tokens":24,"total_tokens":29})");
  const Reply ids =
      post("/v1/completions",
           R"({"model":"stories260K","prompt":[1,403,407,261,378],"max_tokens":24,"temperature":0})");
  EXPECT_EQ(ids.text("/choices/0/text"), reply.text("/choices/0/text"));
}

TEST_F(ModelServerTest, EchoesStopsAndAnswersSeveralPrompts) {
  const Reply reply =
      post("/v1/completions",
           R"({"model":"stories260K","prompt":["Once upon a time","Tim had a red ball."],"n":2,)"
           R"("max_tokens":40,"temperature":0,"stop":[" named","toys"],"echo":true})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.text("/choices/0/text"), "Once upon a time, there was a little girl");
  EXPECT_EQ(reply.text("/choices/1/text"), "Once upon a time, there was a little girl");
  EXPECT_EQ(reply.text("/choices/2/text"), "Tim had a red ball. He liked to play with his ");
  EXPECT_EQ(reply.text("/choices/3/index"), "3");
  EXPECT_EQ(reply.text("/choices/0/finish_reason"), "stop");
  EXPECT_EQ(reply.text("/usage/prompt_tokens"), "14");
}

TEST_F(ModelServerTest, EchoWithoutNewTokensGivesThePromptBack) {
  const Reply reply =
      post("/v1/completions", R"({"model":"stories260K","prompt":"Once upon","max_tokens":0,"echo":true})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.text("/choices/0/text"), "Once upon");
  const Reply stream =
      post("/v1/completions",
           R"({"model":"stories260K","prompt":"Once upon","max_tokens":0,"echo":true,"stream":true})");
  EXPECT_THAT(stream.body, HasSubstr("\"text\":\"Once upon\""));
  EXPECT_THAT(stream.body, HasSubstr("data: [DONE]"));
}

TEST_F(ModelServerTest, StreamsTheSameTextAsItAnswersWhole) {
  const std::string body =
      R"({"model":"stories260K","messages":[{"role":"user","content":"Tell me a tale"}],"max_tokens":40,"seed":7)";
  const Reply whole = post("/v1/chat/completions", body + "}");
  ASSERT_EQ(whole.status, 200) << whole.body;
  EXPECT_THAT(whole.text("/id"), StartsWith("chatcmpl-"));
  const Reply streamed =
      post("/v1/chat/completions", body + R"(,"stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_THAT(streamed.head, HasSubstr("text/event-stream"));
  std::string text, finish;
  Json usage;
  const std::vector<Json> events = events_of(streamed.body);
  ASSERT_GT(events.size(), 3U);
  EXPECT_EQ(dump_json(events[0].at("choices").at(0).at("delta")), R"({"role":"assistant","content":""})");
  for (const Json& event : events) {
    EXPECT_EQ(event.at("object"), "chat.completion.chunk");
    usage = event.at("usage");
    if (event.at("choices").as_array().empty()) continue;
    const Json& choice = event.at("choices").at(0);
    if (const Json* piece = json_find(choice.at("delta"), "content")) text += piece->get_string().c_str();
    if (!choice.at("finish_reason").is_null()) finish = choice.at("finish_reason").get_string().c_str();
  }
  EXPECT_EQ(text, whole.text("/choices/0/message/content"));
  EXPECT_EQ(finish, whole.text("/choices/0/finish_reason"));
  EXPECT_EQ(dump_json(usage), whole.text("/usage"));
  EXPECT_THAT(streamed.body, HasSubstr("data: [DONE]\n\n"));
}

TEST_F(ModelServerTest, GivesLogprobsInBothShapes) {
  const Reply chat =
      post("/v1/chat/completions",
           R"({"model":"stories260K","messages":[{"role":"user","content":"x"}],"max_tokens":3,)"
           R"("temperature":0,"logprobs":true,"top_logprobs":2,"ignore_eos":true})");
  ASSERT_EQ(chat.status, 200) << chat.body;
  const Json content = chat.json().at("choices").at(0).at("logprobs").at("content");
  ASSERT_EQ(content.as_array().size(), 3U);
  for (const Json& token : content.as_array()) {
    EXPECT_EQ(token.at("top_logprobs").as_array().size(), 2U);
    EXPECT_EQ(token.at("top_logprobs").at(0).at("token"), token.at("token"));  // greedy takes the best
    EXPECT_LE(token.at("logprob").to_number<double>(), 0);
  }
  const Reply plain =
      post("/v1/completions",
           R"({"model":"stories260K","prompt":"Once upon a time","max_tokens":3,"temperature":0,)"
           R"("logprobs":2})");
  const Json logprobs = plain.json().at("choices").at(0).at("logprobs");
  EXPECT_EQ(logprobs.at("tokens").as_array().size(), 3U);
  EXPECT_EQ(logprobs.at("top_logprobs").at(0).as_object().size(), 2U);
  EXPECT_EQ(dump_json(logprobs.at("tokens")), R"([","," there"," was"])");
  EXPECT_EQ(dump_json(logprobs.at("text_offset")), "[0,1,7]");
}

TEST_F(ModelServerTest, RefusesWhatItCannotDo) {
  const auto error = [&](const std::string& body, const std::string& path = "/v1/completions") {
    const Reply reply = post(path, body);
    EXPECT_EQ(reply.json().as_object().size(), 1U) << reply.body;
    return fmt::format("{} {} {}", reply.status, reply.text("/error/code"), reply.text("/error/param"));
  };
  EXPECT_EQ(error(R"({"model":"gpt-4o","prompt":"x"})"), "404 model_not_found model");
  EXPECT_EQ(error(R"({"model":"stories260K","prompt":"x","temperature":3})"),
            "400 invalid_argument temperature");
  EXPECT_EQ(error(R"({"model":"stories260K","prompt":[99999]})"), "400 invalid_argument prompt");
  EXPECT_EQ(error(R"({"model":"stories260K","prompt":"x","logit_bias":{"99999":1}})"),
            "400 invalid_argument logit_bias");
  EXPECT_EQ(error(R"({"model":"stories260K","prompt":[)" + std::string(2000, '1') + "]}"),
            "400 invalid_argument prompt");
  std::string ids = "5";
  for (int i = 0; i < 5000; ++i) ids += ",5";
  EXPECT_EQ(error(R"({"model":"stories260K","prompt":[)" + ids + "]}"), "400 context_length_exceeded prompt");
  EXPECT_EQ(error("{"), "400 parse_error null");
  EXPECT_EQ(error(std::string(100, '[')), "400 parse_error null");
  EXPECT_EQ(error("{}", "/v1/feedback"), "404 no_workspace null");
  EXPECT_EQ(ask(server_->port(), "GET", "/v1/completions").status, 405);
  EXPECT_EQ(ask(server_->port(), "GET", "/api/status").status, 404);
  EXPECT_EQ(ask(server_->port(), "GET", "/nothing").status, 404);
  EXPECT_EQ(ask(server_->port(), "GET", "/../etc/passwd").status, 404);
}

TEST_F(ModelServerTest, StopsWorkWhenTheClientLeaves) {
  const std::string endless =
      R"({"model":"stories260K","prompt":"Once","max_tokens":100000,"ignore_eos":true,"temperature":0,"stream":true})";
  Engine& engine = *server_->models().current()->engine;
  {
    RawClient client(server_->port());
    client.send(request_text("POST", "/v1/completions", endless));
    EXPECT_THAT(client.read_until("data: "), StartsWith("HTTP/1.1 200"));
  }
  for (int i = 0; i < 1000 && engine.stats().active > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(engine.stats().active, 0);
}

TEST_F(ModelServerTest, CountsWhatItDoes) {
  post("/v1/completions",
       R"({"model":"stories260K","prompt":"Once upon a time","max_tokens":4,"temperature":0})");
  post("/v1/completions", R"({"model":"stories260K"})");
  Reply reply;
  for (int i = 0; i < 100; ++i) {  // the last answer is counted just after it is sent
    reply = ask(server_->port(), "GET", "/metrics");
    if (reply.body.find("status=\"400\"") != std::string::npos) break;
  }
  EXPECT_THAT(reply.head, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(
      reply.body,
      HasSubstr(R"(volant_http_requests_total{route="/v1/completions",method="POST",status="200"} 1)"));
  EXPECT_THAT(
      reply.body,
      HasSubstr(R"(volant_http_requests_total{route="/v1/completions",method="POST",status="400"} 1)"));
  EXPECT_THAT(reply.body, HasSubstr("volant_prompt_tokens_total 5\n"));
  EXPECT_THAT(reply.body, HasSubstr("volant_completion_tokens_total 4\n"));
  EXPECT_THAT(reply.body, HasSubstr(R"(volant_answers_total{finish_reason="length"} 1)"));
  EXPECT_THAT(reply.body, HasSubstr("volant_model_info{name=\"stories260K\""));
}

TEST_F(ModelServerTest, SendsTheConsoleWithHeadersThatKeepForeignCodeOut) {
  const Reply page = ask(server_->port(), "GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.head, HasSubstr("Content-Type: text/html"));
  EXPECT_THAT(page.head, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(page.head, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(page.body, HasSubstr("<title>Volant</title>"));
}

TEST_F(ModelServerTest, AnswersManyAtOnce) {
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t) {
    threads.emplace_back([&] {
      const Reply reply =
          post("/v1/completions",
               R"({"model":"stories260K","prompt":"Once upon a time","max_tokens":24,"temperature":0})");
      if (reply.text("/choices/0/text").starts_with(", there was a little girl named Lily.")) ++good;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 12);
}

// More clients than slots, memory for one of the longest answers, and every fourth client leaves in the
// middle.
TEST(ServerUnderLoad, AnswersEveryoneWhoStaysAsIfAloneAndHoldsNothingAfterwards) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  ServerOptions options = quick_options();
  options.model = model;
  options.models.engine.kv_bytes = uint64_t{8} * 5 * 4 * (64 * 8 + 64 * 16) * 4;  // 8 pages, 512 tokens
  const auto server = start(options, nullptr);
  ASSERT_NE(server, nullptr);
  const auto body = [](int client, bool leaves) {
    return fmt::format(R"({{"model":"stories260K","prompt":"Tom has {} red balls and",)"
                       R"("max_tokens":{},"temperature":0,"ignore_eos":true,"stream":{}}})",
                       client, client % 4 == 1 ? 1000000 : 150, leaves);
  };
  constexpr int kClients = 24;
  std::vector<std::string> texts(kClients);
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      RawClient client(server->port());
      const bool leaves = i % 4 == 0;
      client.send(request_text("POST", "/v1/completions", body(i, leaves), "Connection: close\r\n"));
      if (leaves) return void(client.read_until("data: "));
      texts[static_cast<size_t>(i)] = parse_reply(client.read_all()).text("/choices/0/text");
    });
  }
  for (std::thread& client : clients) client.join();
  for (int i = 0; i < kClients; ++i) {
    if (i % 4 == 0) continue;
    EXPECT_GT(texts[static_cast<size_t>(i)].size(), 100U);
    EXPECT_EQ(texts[static_cast<size_t>(i)],
              ask(server->port(), "POST", "/v1/completions", body(i, false)).text("/choices/0/text"));
  }
  const auto metrics = [&] { return ask(server->port(), "GET", "/metrics").body; };
  for (int i = 0; i < 400 && metrics().find("volant_kv_pages_held 0\n") == std::string::npos; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_THAT(metrics(), HasSubstr("volant_kv_pages_held 0\n"));
  EXPECT_THAT(metrics(), HasSubstr("volant_requests_active 0\n"));
  EXPECT_THAT(metrics(), Not(HasSubstr("volant_preemptions 0\n")));
}

TEST_F(WorkspaceTest, SaysThatThereIsNoModelYetAndTakesUpTheFirstOne) {
  const auto server = start(quick_options(), workspace_.get());
  EXPECT_EQ(ask(server->port(), "GET", "/healthz").status, 503);
  const Reply none = ask(server->port(), "POST", "/v1/completions", kTale);
  EXPECT_EQ(none.status, 503);
  EXPECT_THAT(none.text("/error/message"), HasSubstr("volant run"));
  promote_version(add_version());
  wait_until([&] { return ask(server->port(), "GET", "/healthz").status == 200; });
  EXPECT_EQ(ask(server->port(), "POST", "/v1/completions", kTale).status, 200);
}

TEST_F(WorkspaceTest, FindsAModelByEachOfItsNames) {
  const std::string first = add_version(), second = add_version();
  promote_version(first);
  ASSERT_TRUE(set_alias(workspace_->registry(), "candidate", second, "test", ""));
  const auto server = start(quick_options(), workspace_.get());
  const Reply list = ask(server->port(), "GET", "/v1/models");
  for (const std::string name : {"tales", "production", "v1", "v2", "candidate"}) {
    EXPECT_THAT(list.body, HasSubstr("\"id\":\"" + name + "\""));
    const Reply reply = ask(server->port(), "POST", "/v1/completions",
                            fmt::format(R"({{"model":"{}","prompt":"Once","max_tokens":2}})", name));
    EXPECT_EQ(reply.status, 200) << name << reply.body;
    EXPECT_EQ(reply.text("/model"), name == "v2" || name == "candidate" ? "v2" : "v1");
  }
  EXPECT_EQ(ask(server->port(), "POST", "/v1/completions", R"({"model":"v3","prompt":"x"})").status, 404);
}

TEST_F(WorkspaceTest, RecordsAnswersAndTakesFeedbackOnThem) {
  promote_version(add_version());
  const auto server = start(quick_options(), workspace_.get());
  const Reply reply =
      ask(server->port(), "POST", "/v1/chat/completions",
          R"({"model":"production","messages":[{"role":"user","content":"hi"}],"max_tokens":8})");
  const std::string id = reply.text("/id");
  const auto answer = find_answer(workspace_->registry(), id);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->version, "v1");
  EXPECT_EQ(answer->answer, reply.text("/choices/0/message/content"));
  EXPECT_EQ(dump_json(answer->messages), R"([{"role":"user","content":"hi"}])");
  const Reply feedback = ask(server->port(), "POST", "/v1/feedback",
                             fmt::format(R"({{"answer_id":"{}","rating":"down","correction":"hello"}})", id));
  EXPECT_EQ(feedback.status, 200) << feedback.body;
  EXPECT_EQ(ask(server->port(), "GET", "/api/feedback?limit=5").text("/feedback/0/correction"), "hello");
  EXPECT_EQ(ask(server->port(), "GET", "/api/feedback?limit=0").status, 400);
  EXPECT_EQ(ask(server->port(), "GET", "/api/trace/" + id).status, 200);
  const Reply unknown =
      ask(server->port(), "POST", "/v1/feedback", R"({"answer_id":"chatcmpl-0","rating":"up"})");
  EXPECT_EQ(unknown.status, 404);
  const Reply bad =
      ask(server->port(), "POST", "/v1/feedback", fmt::format(R"({{"answer_id":"{}","rating":"meh"}})", id));
  EXPECT_EQ(bad.status, 400);
}

TEST_F(WorkspaceTest, ShowsVersionsAndPromotesAndRollsBack) {
  promote_version(add_version());
  add_version();
  const auto server = start(quick_options(), workspace_.get());
  EXPECT_EQ(ask(server->port(), "GET", "/api/status").text("/serving/version"), "v1");
  EXPECT_EQ(ask(server->port(), "GET", "/api/versions").text("/versions/0/version"), "v2");
  const Reply promoted = ask(server->port(), "POST", "/api/versions/v2/promote", "{}");
  EXPECT_EQ(promoted.status, 200) << promoted.body;
  wait_until([&] { return server->serving() == "tales v2"; });
  const Reply back = ask(server->port(), "POST", "/api/rollback", "{}");
  EXPECT_EQ(back.text("/version"), "v1") << back.body;
  wait_until([&] { return server->serving() == "tales v1"; });
  EXPECT_EQ(ask(server->port(), "GET", "/api/audit").text("/intact"), "true");
  EXPECT_EQ(ask(server->port(), "POST", "/api/versions/v9/promote", "{}").status, 404);
  EXPECT_EQ(ask(server->port(), "GET", "/api/runs").status, 200);
  EXPECT_EQ(ask(server->port(), "GET", "/api/data").status, 200);
  EXPECT_EQ(ask(server->port(), "GET", "/api/improve").text("/state"), "idle");
  EXPECT_EQ(ask(server->port(), "GET", "/api/evaluation/v1").status, 404);
  EXPECT_EQ(ask(server->port(), "GET", "/api/runs/none/events").status, 404);
}

TEST_F(WorkspaceTest, DropsNoRequestWhileVersionsAreSwapped) {
  const std::string first = add_version(), second = add_version();
  promote_version(first);
  const auto server = start(quick_options(), workspace_.get());
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0}, failed{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([&] {
      while (!stop) {
        const Reply reply = ask(server->port(), "POST", "/v1/completions", kTale);
        (reply.status == 200 && reply.text("/usage/completion_tokens") == "12" ? answered : failed)++;
      }
    });
  }
  for (int64_t swap = 1; swap <= 6; ++swap) {
    promote_version(swap % 2 == 1 ? second : first);
    wait_until([&] { return server->models().swaps() == swap; });
    const int before = answered;
    wait_until([&] { return answered > before + 2; });
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(answered, 12);
  server->models().wait_for_retired();  // every replaced engine has ended
}

TEST_F(WorkspaceTest, KeepsTheOldModelWhenTheNewOneCannotBeLoaded) {
  promote_version(add_version());
  const auto server = start(quick_options(), workspace_.get());
  const std::string broken = add_version(true);
  promote_version(broken);
  wait_until([&] { return !server->models().trouble().empty(); });
  EXPECT_THAT(server->models().trouble(), HasSubstr("still serving v1"));
  EXPECT_EQ(ask(server->port(), "POST", "/v1/completions", kTale).text("/model"), "v1");
  EXPECT_THAT(ask(server->port(), "GET", "/api/status").text("/serving/trouble"),
              HasSubstr("cannot load production v2"));
  EXPECT_THAT(ask(server->port(), "GET", "/metrics").body, HasSubstr("volant_model_trouble 1"));
  const Reply asked = ask(server->port(), "POST", "/v1/completions", R"({"model":"v2","prompt":"x"})");
  EXPECT_GE(asked.status, 400);
  promote_version(add_version());
  wait_until([&] { return server->serving() == "tales v3"; });
  EXPECT_EQ(server->models().trouble(), "");
}

TEST_F(WorkspaceTest, DrainLetsAStreamFinish) {
  promote_version(add_version());
  const auto server = start(quick_options(), workspace_.get());
  RawClient client(server->port());
  client.send(request_text(
      "POST", "/v1/completions",
      R"({"model":"production","prompt":"Once","max_tokens":200,"ignore_eos":true,"stream":true})"));
  client.read_until("data: ");
  EXPECT_TRUE(server->drain());
  const std::string rest = client.read_all();
  EXPECT_THAT(rest, HasSubstr("data: [DONE]"));
  EXPECT_THAT(rest, HasSubstr("\"finish_reason\":\"length\""));
}

TEST_F(WorkspaceTest, RefusesToListenElsewhereWithoutAKey) {
  ServerOptions options = quick_options();
  options.http.host = "0.0.0.0";
  options.key_file = dir_ / "keys.json";
  const auto refused = Server::start(options, workspace_.get());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kForbidden);
  EXPECT_THAT(refused.error().message, HasSubstr("keys add"));
  const std::string key = KeyStore::add(options.key_file, "laptop").value();
  const auto server = start(options, workspace_.get());
  EXPECT_EQ(ask(server->port(), "GET", "/v1/models").status, 401);
  EXPECT_EQ(ask(server->port(), "GET", "/api/status").status, 401);
  EXPECT_EQ(ask(server->port(), "GET", "/v1/models", "", "Authorization: Bearer " + key + "\r\n").status,
            200);
  EXPECT_NE(ask(server->port(), "GET", "/healthz").status, 401);
}

TEST_F(WorkspaceTest, RefusesMoreThanTheQueueHolds) {
  promote_version(add_version());
  ServerOptions options = quick_options();
  options.models.engine.n_slots = 1;
  options.models.engine.max_queue = 1;
  const auto server = start(options, workspace_.get());
  const std::string body =
      R"({"model":"production","prompt":"Once","n":6,"max_tokens":300,"ignore_eos":true})";
  const Reply reply = ask(server->port(), "POST", "/v1/completions", body);
  EXPECT_EQ(reply.status, 503) << reply.body;
  EXPECT_THAT(reply.head, HasSubstr("Retry-After"));
  wait_until([&] { return ask(server->port(), "POST", "/v1/completions", kTale).status == 200; });
}

}  // namespace
}  // namespace volant
