// A server with adapters beside its model: each request gets what the merged model says, by the name that it
// asks for, alone and beside others; what is not there is a 404 that says what is.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "server/test_client.h"
#include "support/random_adapter.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using Kind = AdapterSpec::Kind;

// stories260K with the adapters "poems" (DoRA) and "law" (rsLoRA).
class AdapterServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    VOLANT_DATA_OR_SKIP(model, "models/stories260K");
    config_ = Checkpoint::open(model).value().config();
    options_ = quick_options();
    options_.model = model;
    const std::pair<const char*, Kind> kAdapters[] = {{"poems", Kind::kDora}, {"law", Kind::kRsLora}};
    for (const auto& [name, kind] : kAdapters) {
      const Adapter adapter = testing::random_adapter(config_, kind, 5);
      ASSERT_TRUE(write_adapter(scratch_ / name, adapter, config_));
      testing::write_merged_model(model, adapter, scratch_ / "merged" / name);
      options_.models.adapter_names.emplace_back(name);
      options_.models.engine.adapters.push_back(scratch_ / name);
    }
    server_ = start(options_, nullptr);
    ASSERT_NE(server_, nullptr);
  }
  Reply tell(const std::string& model, const std::string& prompt) const {
    return ask(
        server_->port(), "POST", "/v1/completions",
        fmt::format(R"({{"model":"{}","prompt":"{}","max_tokens":24,"temperature":0,"ignore_eos":true}})",
                    model, prompt));
  }
  // What the model of a folder goes on with, without a server.
  static std::string told(const Path& model, const std::string& prompt) {
    const auto engine = Engine::open(model, {.n_threads = 1}).value();
    return engine
        ->generate({.prompt = engine->tokenizer().encode(prompt),
                    .max_tokens = 24,
                    .sampling = {.temperature = 0},
                    .ignore_stop_ids = true})
        .value()
        .text;
  }
  std::string told_merged(const std::string& adapter, const std::string& prompt) const {
    return told(scratch_ / "merged" / adapter, prompt);
  }

  testing::ScratchDir scratch_;
  ModelConfig config_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
};

TEST_F(AdapterServerTest, EachNameGetsTheTextOfItsMergedModel) {
  for (const char* prompt : {"Once upon a time", "Tim had a red ball."}) {
    EXPECT_EQ(tell("stories260K", prompt).text("/choices/0/text"), told(options_.model, prompt));
    for (const std::string name : {"poems", "law"}) {
      const std::string expected = told_merged(name, prompt);
      EXPECT_NE(expected, told(options_.model, prompt));
      for (const std::string& asked : {name, "stories260K:" + name}) {
        const Reply reply = tell(asked, prompt);
        ASSERT_EQ(reply.status, 200) << reply.body;
        EXPECT_EQ(reply.text("/choices/0/text"), expected) << asked;
        EXPECT_EQ(reply.text("/model"), asked);
      }
    }
  }
}

TEST_F(AdapterServerTest, ConversationsAndStreamsGoThroughTheAdapterToo) {
  const auto chat = [&](int port, const std::string& model, const std::string& more) {
    return ask(port, "POST", "/v1/chat/completions",
               fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"Tell me a tale"}}],)"
                           R"("max_tokens":16,"temperature":0,"ignore_eos":true{}}})",
                           model, more));
  };
  ServerOptions options = quick_options();
  options.model = scratch_ / "merged/poems";
  const auto merged = start(options, nullptr);
  const std::string expected = chat(merged->port(), "poems", "").text("/choices/0/message/content");
  ASSERT_GT(expected.size(), 8U);
  EXPECT_EQ(chat(server_->port(), "poems", "").text("/choices/0/message/content"), expected);
  EXPECT_NE(chat(server_->port(), "law", "").text("/choices/0/message/content"), expected);
  std::string streamed;
  for (const Json& event : events_of(chat(server_->port(), "poems", R"(,"stream":true)").body)) {
    EXPECT_EQ(event.at("model"), "poems");
    if (const Json* piece = json_find(event.at("choices").at(0).at("delta"), "content"))
      streamed += std::string(piece->as_string());
  }
  EXPECT_EQ(streamed, expected);
}

TEST_F(AdapterServerTest, RequestsForAllOfThemAtOnceGetWhatTheyGetAlone) {
  const std::string names[] = {"stories260K", "poems", "law"};
  std::string expected[3];
  for (size_t i = 0; i < 3; ++i) expected[i] = tell(names[i], "Once upon a time").text("/choices/0/text");
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 12; ++t)
    threads.emplace_back([&, t] {
      if (tell(names[t % 3], "Once upon a time").text("/choices/0/text") == expected[t % 3]) ++good;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 12);
}

TEST_F(AdapterServerTest, BaseAndAdaptersAreListedAndCanBeLookedUp) {
  const Reply list = ask(server_->port(), "GET", "/v1/models");
  ASSERT_EQ(list.json().at("data").as_array().size(), 3U) << list.body;
  EXPECT_EQ(list.text("/data/0/id"), "stories260K");
  EXPECT_EQ(list.text("/data/1/id"), "stories260K:poems");
  EXPECT_EQ(list.text("/data/2/id"), "stories260K:law");
  for (const char* name : {"stories260K", "stories260K:law", "law"})
    EXPECT_EQ(ask(server_->port(), "GET", fmt::format("/v1/models/{}", name)).text("/object"), "model")
        << name;
}

TEST_F(AdapterServerTest, AnUnknownNameIsA404ThatSaysWhatThereIs) {
  const auto expect_unknown = [](const Reply& reply) {
    EXPECT_EQ(reply.status, 404);
    EXPECT_EQ(reply.text("/error/code"), "model_not_found");
    EXPECT_EQ(reply.text("/error/type"), "invalid_request_error");
    EXPECT_EQ(reply.text("/error/param"), "model");
    EXPECT_THAT(reply.text("/error/message"),
                HasSubstr("'stories260K', 'stories260K:poems', 'stories260K:law'"));
  };
  expect_unknown(tell("novels", "Once"));
  expect_unknown(tell("stories260K:novels", "Once"));
  expect_unknown(ask(server_->port(), "GET", "/v1/models/novels"));
}

TEST_F(AdapterServerTest, ABadFolderOrNameIsRefusedAtStart) {
  const auto refusal = [&](const Path& folder, const std::string& name) {
    ServerOptions options = options_;
    options.models.engine.adapters.push_back(folder);
    options.models.adapter_names.push_back(name);
    const auto started = Server::start(options, nullptr);
    EXPECT_FALSE(started);
    return started ? std::string("started") : started.error().to_string();
  };
  EXPECT_THAT(refusal(scratch_ / "nowhere", "novels"), HasSubstr((scratch_ / "nowhere").string()));
  ASSERT_TRUE(copy_all(scratch_ / "law", scratch_ / "cut"));
  ASSERT_TRUE(write_file_atomic(scratch_ / "cut/adapter_model.safetensors", "not weights"));
  EXPECT_THAT(refusal(scratch_ / "cut", "novels"), HasSubstr((scratch_ / "cut").string()));
  for (const char* name : {"stories260K", "production"})
    EXPECT_THAT(refusal(scratch_ / "law", name), HasSubstr(fmt::format("cannot be called '{}'", name)));
}

}  // namespace
}  // namespace volant
