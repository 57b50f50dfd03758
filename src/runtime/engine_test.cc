// The engine on real small models: golden answers alone and together, ends of every kind, limits, scoring.
#include "runtime/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <ctime>
#include <future>
#include <thread>

#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.as_array()) ids.push_back(static_cast<int32_t>(id.as_int64()));
  return ids;
}

std::vector<int32_t> without_stop(std::vector<int32_t> ids, const std::vector<int32_t>& stop) {
  if (!ids.empty() && std::ranges::find(stop, ids.back()) != stop.end()) ids.pop_back();
  return ids;
}

struct GoldenCase {
  GenerateRequest request;
  std::vector<int32_t> ids;
  std::string text;
};

std::vector<GoldenCase> golden_cases(const Path& folder) {
  std::vector<GoldenCase> cases;
  const Json json = parse_json(read_file(folder / "greedy.json").value()).value();
  for (const Json& test : json.at("cases").as_array()) {
    GoldenCase each;
    each.request.prompt = ids_of(test.at("prompt_ids"));
    each.request.max_tokens = static_cast<int>(test.at("max_tokens").as_int64());
    each.request.sampling.temperature = 0;
    each.ids = without_stop(ids_of(test.at("output_ids")), ids_of(test.at("stop_ids")));
    each.text = std::string(test.at("output_text").as_string());
    cases.push_back(std::move(each));
  }
  return cases;
}

// An engine on stories260K and a greedy request with its prompt; the test is skipped without the data.
// NOLINTBEGIN(bugprone-macro-parentheses): a name cannot stand in them
#define ENGINE_OR_SKIP(engine, options)                     \
  VOLANT_DATA_OR_SKIP(engine##_path, "models/stories260K"); \
  const std::unique_ptr<Engine> engine = Engine::open(engine##_path, options).value()
// NOLINTEND(bugprone-macro-parentheses)

GenerateRequest greedy_request(const Engine& engine, std::string_view prompt, int max_tokens) {
  GenerateRequest request;
  request.prompt = engine.tokenizer().encode(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  return request;
}

TEST(Engine, ARealModelKnowsTheCapitalOfChinaThroughItsChatTemplate) {
  VOLANT_DATA_OR_SKIP(path, "models/minimind2-small");
  const auto engine = Engine::open(path).value();
  GenerateRequest request;
  request.prompt = engine->encode_chat({{{"role", "user"}, {"content", "中国的首都是哪里？"}}}).value();
  request.max_tokens = 60;
  request.sampling.temperature = 0;
  EXPECT_THAT(engine->generate(request).value().text, HasSubstr("北京"));
}

TEST(Engine, GivesTheGoldenAnswersAlsoWithHalfTheCache) {
  for (const char* name :
       {"stories260K", "stories15M", "minimind2-small", "stories15M f16", "minimind2-small f16"}) {
    SCOPED_TRACE(name);
    const std::string model = std::string(name).substr(0, std::string(name).find(' '));
    VOLANT_DATA_OR_SKIP(golden, "golden/" + model);
    EngineOptions options;
    if (model != name) options.kv_dtype = DType::kF16;
    const auto engine = Engine::open(golden_root->string() + "/models/" + model, options).value();
    for (const GoldenCase& each : golden_cases(golden)) {
      const GenerateResult result = engine->generate(each.request).value();
      EXPECT_EQ(result.ids, each.ids);
      EXPECT_EQ(result.text, each.text);
      EXPECT_EQ(result.prompt_tokens, static_cast<int64_t>(each.request.prompt.size()));
      EXPECT_EQ(result.completion_tokens, static_cast<int64_t>(each.ids.size()));
    }
  }
}

TEST(Engine, AnswersAreTheSameTogetherAsAlone) {
  for (const char* name : {"stories260K", "minimind2-small"}) {
    SCOPED_TRACE(name);
    VOLANT_DATA_OR_SKIP(golden, std::string("golden/") + name);
    const auto engine = Engine::open(golden_root->string() + "/models/" + name, {.n_slots = 3}).value();
    const std::vector<GoldenCase> cases = golden_cases(golden);
    std::vector<std::promise<GenerateResult>> results(3 * cases.size());
    for (size_t i = 0; i < results.size(); ++i) {
      ASSERT_TRUE(
          engine->submit(cases[i % cases.size()].request, {},
                         [&results, i](const GenerateResult& result) { results[i].set_value(result); }));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      const GenerateResult result = results[i].get_future().get();
      EXPECT_EQ(result.ids, cases[i % cases.size()].ids) << "request " << i;
      EXPECT_FALSE(result.error);
    }
  }
}

TEST(Engine, LongPromptReadInPiecesGivesTheLogitsOfOnePass) {
  ENGINE_OR_SKIP(engine, (EngineOptions{.n_slots = 1}));
  std::vector<int32_t> ids;
  for (int i = 0; i < 500; ++i) ids.push_back(3 + i * 7 % 500);
  const std::vector<float> all = engine->logits(ids).value();
  const std::vector<float> prefix = engine->logits(std::span(ids).first(301)).value();
  const size_t n_vocab = all.size() / ids.size();
  EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), all.begin()));
  GenerateRequest request;
  request.prompt = ids;
  request.max_tokens = 1;
  request.sampling.temperature = 0;
  request.ignore_stop_ids = true;
  const auto best = std::max_element(all.end() - static_cast<std::ptrdiff_t>(n_vocab), all.end());
  const auto expected = static_cast<int32_t>(best - (all.end() - static_cast<std::ptrdiff_t>(n_vocab)));
  EXPECT_EQ(engine->generate(request).value().ids, std::vector<int32_t>{expected});
}

TEST(Engine, EventsTogetherAreTheAnswer) {
  ENGINE_OR_SKIP(engine, {});
  std::string text;
  std::vector<int32_t> ids;
  const GenerateResult result = engine
                                    ->generate(greedy_request(*engine, "Once upon a time", 60),
                                               [&](const GenerateEvent& event) {
                                                 text += event.text;
                                                 if (event.id >= 0) ids.push_back(event.id);
                                                 return true;
                                               })
                                    .value();
  EXPECT_EQ(text, result.text);
  EXPECT_EQ(ids, result.ids);
  EXPECT_EQ(result.finish, FinishReason::kLength);
  EXPECT_EQ(result.ids.size(), 60U);
}

TEST(Engine, StopTextAcrossTokensEndsTheAnswerBeforeIt) {
  ENGINE_OR_SKIP(engine, {});
  GenerateRequest request = greedy_request(*engine, "Once upon a time", 100);
  const std::string whole = engine->generate(request).value().text;
  ASSERT_GT(whole.size(), 60U);
  const std::string stop = whole.substr(40, 12);
  request.stop = {stop};
  std::string shown;
  const GenerateResult result = engine
                                    ->generate(request,
                                               [&](const GenerateEvent& event) {
                                                 shown += event.text;
                                                 return true;
                                               })
                                    .value();
  EXPECT_EQ(result.text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(shown, result.text);
  EXPECT_EQ(result.finish, FinishReason::kStop);
}

TEST(Engine, FullContextEndsTheAnswerWithLength) {
  ENGINE_OR_SKIP(engine, (EngineOptions{.n_ctx = 48}));
  GenerateRequest request = greedy_request(*engine, "Once upon a time", 1000);
  request.ignore_stop_ids = true;
  const GenerateResult result = engine->generate(request).value();
  EXPECT_EQ(result.finish, FinishReason::kLength);
  EXPECT_EQ(result.prompt_tokens + result.completion_tokens, 48);
}

TEST(Engine, SayingFalseCancelsAndOthersGoOn) {
  ENGINE_OR_SKIP(engine, {});
  const GenerateRequest request = greedy_request(*engine, "Once upon a time", 200);
  std::promise<GenerateResult> other;
  ASSERT_TRUE(engine->submit(request, {}, [&](const GenerateResult& result) { other.set_value(result); }));
  int events = 0;
  const GenerateResult result =
      engine->generate(request, [&](const GenerateEvent&) { return ++events < 3; }).value();
  EXPECT_EQ(result.finish, FinishReason::kCancelled);
  EXPECT_EQ(events, 3);
  EXPECT_EQ(other.get_future().get().ids.size(), 200U);
}

TEST(Engine, CancelEndsLiveAndWaitingRequests) {
  ENGINE_OR_SKIP(engine, (EngineOptions{.n_slots = 1}));
  GenerateRequest request = greedy_request(*engine, "Once upon a time", 500);
  request.ignore_stop_ids = true;
  std::promise<void> started;
  std::promise<GenerateResult> live, waiting;
  std::atomic<bool> first{true};
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  const uint64_t live_id = engine
                               ->submit(
                                   request,
                                   [&](const GenerateEvent&) {
                                     if (first.exchange(false)) {
                                       started.set_value();
                                       gate.wait();
                                     }
                                     return true;
                                   },
                                   [&](const GenerateResult& result) { live.set_value(result); })
                               .value();
  started.get_future().wait();
  const uint64_t waiting_id =
      engine->submit(request, {}, [&](const GenerateResult& result) { waiting.set_value(result); }).value();
  EXPECT_EQ(engine->stats().active, 1);
  EXPECT_EQ(engine->stats().waiting, 1);
  engine->cancel(waiting_id);
  engine->cancel(live_id);
  go_on.set_value();
  EXPECT_EQ(live.get_future().get().finish, FinishReason::kCancelled);
  const GenerateResult never_ran = waiting.get_future().get();
  EXPECT_EQ(never_ran.finish, FinishReason::kCancelled);
  EXPECT_TRUE(never_ran.ids.empty());
}

TEST(Engine, ClosingCancelsWhatRuns) {
  VOLANT_DATA_OR_SKIP(path, "models/stories260K");
  std::vector<FinishReason> ends;
  {
    const auto engine = Engine::open(path, {.n_slots = 1}).value();
    GenerateRequest request = greedy_request(*engine, "Once", 500);
    request.ignore_stop_ids = true;
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(
          engine->submit(request, {}, [&](const GenerateResult& result) { ends.push_back(result.finish); }));
    }
  }
  EXPECT_THAT(ends, ::testing::SizeIs(3));
  EXPECT_EQ(ends.back(), FinishReason::kCancelled);
}

TEST(Engine, FullQueueIsUnavailable) {
  ENGINE_OR_SKIP(engine, (EngineOptions{.n_slots = 1, .max_queue = 1}));
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  const GenerateRequest request = greedy_request(*engine, "Once", 5);
  const auto wait = [gate](const GenerateEvent&) {
    gate.wait();
    return true;
  };
  ASSERT_TRUE(engine->submit(request, wait, {}));
  ASSERT_TRUE(engine->submit(request, wait, {}));
  const Result<uint64_t> third = engine->submit(request, wait, {});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::kUnavailable);
  go_on.set_value();
}

TEST(Engine, WrongRequestsAreNamed) {
  ENGINE_OR_SKIP(engine, (EngineOptions{.n_ctx = 32}));
  const auto refuse = [&](const GenerateRequest& request) {
    const Result<GenerateResult> result = engine->generate(request);
    EXPECT_FALSE(result);
    return result ? std::string() : result.error().message;
  };
  EXPECT_THAT(refuse({}), HasSubstr("at least 1"));
  EXPECT_THAT(refuse({.prompt = std::vector<int32_t>(32, 5)}), HasSubstr("at most 31"));
  EXPECT_THAT(refuse({.prompt = {1, 512}}), HasSubstr("512"));
  EXPECT_THAT(refuse({.prompt = {1, -1}}), HasSubstr("-1"));
  EXPECT_THAT(refuse({.prompt = {1}, .max_tokens = 0}), HasSubstr("max_tokens"));
  EXPECT_THAT(refuse({.prompt = {1}, .logprobs = 21}), HasSubstr("logprobs"));
  EXPECT_THAT(refuse({.prompt = {1}, .sampling = {.temperature = -1}}), HasSubstr("temperature"));
}

TEST(Engine, SameSeedSameAnswerAloneAndBesideOthers) {
  ENGINE_OR_SKIP(engine, {});
  GenerateRequest request = greedy_request(*engine, "Once upon a time", 40);
  request.sampling = {.temperature = 1, .top_p = 0.9, .seed = 7};
  const std::vector<int32_t> alone = engine->generate(request).value().ids;
  GenerateRequest noise = greedy_request(*engine, "Lily", 100);
  noise.sampling = {.temperature = 1, .seed = 9};
  std::promise<void> done;
  ASSERT_TRUE(engine->submit(noise, {}, [&](const GenerateResult&) { done.set_value(); }));
  EXPECT_EQ(engine->generate(request).value().ids, alone);
  done.get_future().wait();
  request.sampling.seed = 8;
  EXPECT_NE(engine->generate(request).value().ids, alone);
}

TEST(Engine, TokensDrawnForManyAtOnceAreThoseOfEachAlone) {
  ENGINE_OR_SKIP(engine, (EngineOptions{.n_threads = 4, .n_slots = 8}));
  std::vector<GenerateRequest> requests;
  for (uint64_t i = 0; i < 8; ++i) {
    GenerateRequest request = greedy_request(*engine, "Once upon a time", 30);
    if (i > 0) request.sampling = {.temperature = 0.9, .top_p = 0.8, .frequency_penalty = 0.3, .seed = i};
    if (i % 2 == 1) request.logprobs = 2;
    requests.push_back(std::move(request));
  }
  std::vector<std::vector<int32_t>> alone;
  for (const GenerateRequest& request : requests) alone.push_back(engine->generate(request).value().ids);
  EXPECT_NE(alone[1], alone[2]);
  std::vector<std::promise<std::vector<int32_t>>> together(requests.size());
  for (size_t i = 0; i < requests.size(); ++i)
    ASSERT_TRUE(engine->submit(requests[i], {}, [&together, i](const GenerateResult& result) {
      together[i].set_value(result.ids);
    }));
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(together[i].get_future().get(), alone[i]) << i;
}

TEST(Engine, LogprobsOfTheChosenTokenAreAmongTheBest) {
  ENGINE_OR_SKIP(engine, {});
  GenerateRequest request = greedy_request(*engine, "Once upon a time", 5);
  request.logprobs = 4;
  int events = 0;
  ASSERT_TRUE(engine->generate(request, [&](const GenerateEvent& event) {
    if (event.id < 0) return true;
    ++events;
    EXPECT_EQ(event.top.size(), 4U);
    EXPECT_EQ(event.top[0].id, event.id);
    EXPECT_DOUBLE_EQ(event.top[0].logprob, event.logprob->logprob);
    EXPECT_LE(event.top[0].logprob, 0);
    EXPECT_GE(event.top[0].logprob, event.top[3].logprob);
    return true;
  }));
  EXPECT_EQ(events, 5);
}

TEST(Engine, ScoresEqualTheGoldenLosses) {
  for (const char* name : {"stories260K", "stories15M", "minimind2-small"}) {
    SCOPED_TRACE(name);
    VOLANT_DATA_OR_SKIP(golden, std::string("golden/") + name);
    const auto engine = Engine::open(golden_root->string() + "/models/" + name).value();
    const Json json = parse_json(read_file(golden / "logits.json").value()).value();
    for (const Json& test : json.at("cases").as_array()) {
      const Score score = engine->score(ids_of(test.at("ids"))).value();
      const JsonArray& expected = test.at("nll").as_array();
      ASSERT_EQ(score.nll.size(), expected.size());
      ASSERT_EQ(score.correct.size(), expected.size());
      double sum = 0;
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(score.nll[i], expected[i].to_number<double>(), 1e-3) << i;
        sum += static_cast<double>(score.nll[i]);
      }
      EXPECT_NEAR(sum / static_cast<double>(expected.size()), test.at("nll_mean").to_number<double>(), 1e-4);
    }
  }
}

TEST(Engine, ScoringRunsBesideGeneration) {
  ENGINE_OR_SKIP(engine, {});
  const std::vector<int32_t> ids =
      engine->tokenizer().encode("Once upon a time there was a girl named Lily.");
  const Score alone = engine->score(ids).value();
  std::promise<void> done;
  ASSERT_TRUE(engine->submit(greedy_request(*engine, "Once", 300), {},
                             [&](const GenerateResult&) { done.set_value(); }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(engine->score(ids).value().nll, alone.nll);
  done.get_future().wait();
  EXPECT_FALSE(engine->score(std::vector<int32_t>{1}));
}

TEST(Engine, PromptThatBeginsAsTheLastOneIsNotReadAgain) {
  ENGINE_OR_SKIP(engine, (EngineOptions{.n_slots = 1}));
  GenerateRequest request =
      greedy_request(*engine, "Once upon a time there was a little girl named Lily.", 20);
  const std::vector<int32_t> first = engine->generate(request).value().ids;
  const uint64_t read = engine->stats().prompt_tokens;
  EXPECT_EQ(read, request.prompt.size());
  EXPECT_EQ(engine->generate(request).value().ids, first);
  EXPECT_EQ(engine->stats().prompt_tokens, read + 1);
}

TEST(Engine, IdleEngineUsesNoProcessorTime) {
  ENGINE_OR_SKIP(engine, {});
  ASSERT_TRUE(engine->generate(greedy_request(*engine, "Once", 5)));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.01);
}

TEST(Engine, WhatCannotBeServedIsRefusedByName) {
  VOLANT_DATA_OR_SKIP(models, "models");
  const auto refuse = [&](const char* name) {
    const auto opened = Engine::open(models / name);
    EXPECT_FALSE(opened);
    return opened ? std::string() : opened.error().to_string();
  };
  const testing::ScratchDir scratch;
  ASSERT_TRUE(write_file_atomic(scratch / "config.json", R"({"architectures": ["MambaForCausalLM"]})"));
  const auto unknown = Engine::open(scratch.path());
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().to_string(), HasSubstr("MambaForCausalLM is not supported: supported are "));
  EXPECT_THAT(refuse("nowhere"), HasSubstr("nowhere"));
}

// A model whose head looks one word further: another answer, and the old one again with the old weights.
TEST(Engine, WeightsCanBeChangedBetweenAnswersAndOldPositionsAreForgotten) {
  ENGINE_OR_SKIP(engine, {});
  const GenerateRequest request = greedy_request(*engine, "Once upon a time", 24);
  const std::vector<int32_t> before = engine->generate(request).value().ids;
  const auto own = [&](const TensorSpec& spec) { return engine->checkpoint().tensor(spec.name); };
  std::vector<std::vector<float>> kept;
  const auto halved = [&](const TensorSpec& spec) -> Result<TensorView> {
    kept.push_back(to_f32(TRY(own(spec))));
    if (spec.name.find("mlp.down_proj") != std::string::npos)
      for (float& x : kept.back()) x *= 0.5F;
    return TensorView{DType::kF32, spec.shape, std::as_bytes(std::span(kept.back()))};
  };
  ASSERT_TRUE(engine->set_weights(halved));
  EXPECT_NE(engine->generate(request).value().ids, before);
  ASSERT_TRUE(engine->set_weights(own));
  EXPECT_EQ(engine->generate(request).value().ids, before);
  const auto broken = [&](const TensorSpec&) -> Result<TensorView> {
    return fail(ErrorCode::kNotFound, "no such tensor");
  };
  EXPECT_EQ(engine->set_weights(broken).error().code, ErrorCode::kNotFound);
}

// Each answer is wholly of one set of weights, whatever runs while they change.
TEST(Engine, WeightsDoNotChangeInsideAnAnswer) {
  ENGINE_OR_SKIP(engine, {});
  const GenerateRequest request = greedy_request(*engine, "Once upon a time", 40);
  const std::vector<int32_t> expected = engine->generate(request).value().ids;
  std::vector<std::future<std::vector<int32_t>>> answers;
  for (int i = 0; i < 6; ++i)
    answers.push_back(std::async(std::launch::async, [&] { return engine->generate(request).value().ids; }));
  const auto own = [&](const TensorSpec& spec) { return engine->checkpoint().tensor(spec.name); };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(engine->set_weights(own));
  for (auto& answer : answers) EXPECT_EQ(answer.get(), expected);
}

}  // namespace
}  // namespace volant
