// The engine with adapters beside its model: what each request gets is what the merged model gives, alone and
// in a batch with others; what cannot stand beside the model is refused when it is opened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "runtime/engine.h"
#include "support/random_adapter.h"
#include "support/random_model.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using Kind = AdapterSpec::Kind;

constexpr const char* kPrompts[] = {"Once upon a time", "Lily and her mom went", "Tim had a red ball."};

// stories260K with one adapter of each kind, and the models that they give when they are merged.
class EngineWithAdapters : public ::testing::Test {
 protected:
  void SetUp() override {
    VOLANT_DATA_OR_SKIP(model, "models/stories260K");
    model_ = model;
    const ModelConfig config = Checkpoint::open(model).value().config();
    uint64_t seed = 0;
    for (const Kind kind : {Kind::kLora, Kind::kDora, Kind::kRsLora}) {
      const std::string name = std::to_string(++seed);
      const Adapter adapter = testing::random_adapter(config, kind, seed);
      adapters_.push_back(scratch_ / ("adapter" + name));
      ASSERT_TRUE(write_adapter(adapters_.back(), adapter, config));
      merged_.push_back(scratch_ / ("merged" + name));
      testing::write_merged_model(model, adapter, merged_.back());
    }
    engine_ = Engine::open(model, {.n_threads = 1, .n_slots = 3, .adapters = adapters_}).value();
  }
  GenerateRequest request(int32_t adapter, const char* prompt) const {
    GenerateRequest request;
    request.prompt = engine_->tokenizer().encode(prompt);
    request.max_tokens = 24;
    request.sampling.temperature = 0;
    request.ignore_stop_ids = true;
    request.adapter = adapter;
    return request;
  }
  // What model number n says to each prompt, on its own: 0 is the base, others are merged.
  std::vector<std::vector<int32_t>> alone(size_t n) const {
    const auto engine = Engine::open(n == 0 ? model_ : merged_[n - 1], {.n_threads = 1}).value();
    std::vector<std::vector<int32_t>> answers;
    for (const char* prompt : kPrompts) answers.push_back(engine->generate(request(0, prompt)).value().ids);
    return answers;
  }

  testing::ScratchDir scratch_;
  Path model_;
  std::vector<Path> adapters_, merged_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineWithAdapters, EachRequestGetsTheTokensOfItsMergedModel) {
  std::vector<std::vector<int32_t>> firsts;
  for (size_t n = 0; n <= adapters_.size(); ++n) {
    const auto expected = alone(n);
    for (size_t p = 0; p < std::size(kPrompts); ++p)
      EXPECT_EQ(engine_->generate(request(static_cast<int32_t>(n), kPrompts[p])).value().ids, expected[p])
          << "adapter " << n << ", prompt " << p;
    firsts.push_back(expected[0]);
  }
  // They are four models, not one.
  for (size_t a = 0; a < firsts.size(); ++a)
    for (size_t b = a + 1; b < firsts.size(); ++b) EXPECT_NE(firsts[a], firsts[b]) << a << " and " << b;
}

TEST_F(EngineWithAdapters, BaseAndAdaptersInOneBatchGiveWhatTheyGiveAlone) {
  std::vector<std::vector<std::vector<int32_t>>> expected;
  for (size_t n = 0; n <= adapters_.size(); ++n) expected.push_back(alone(n));
  std::vector<std::promise<GenerateResult>> results(4 * std::size(kPrompts) * 2);
  for (size_t i = 0; i < results.size(); ++i)
    ASSERT_TRUE(engine_->submit(request(static_cast<int32_t>(i % 4), kPrompts[i / 4 % std::size(kPrompts)]),
                                {},
                                [&results, i](const GenerateResult& done) { results[i].set_value(done); }));
  for (size_t i = 0; i < results.size(); ++i)
    EXPECT_EQ(results[i].get_future().get().ids, expected[i % 4][i / 4 % std::size(kPrompts)])
        << "request " << i;
}

TEST_F(EngineWithAdapters, ANumberWithoutAdapterIsAnError) {
  for (const int32_t number : {-1, 4}) {
    const auto refused = engine_->generate(request(number, "Once"));
    ASSERT_FALSE(refused) << number;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message, HasSubstr("'adapter'"));
  }
}

TEST_F(EngineWithAdapters, WhatCannotStandBesideTheModelIsRefusedWhenItIsOpened) {
  const auto refusal = [&](const Path& adapter) {
    const auto opened = Engine::open(model_, {.n_threads = 1, .adapters = {adapters_[0], adapter}});
    EXPECT_FALSE(opened);
    const std::string words = opened ? "opened" : opened.error().to_string();
    EXPECT_THAT(words, HasSubstr(adapter.string()));  // which of them it was
    return words;
  };
  EXPECT_THAT(refusal(scratch_ / "nowhere"), HasSubstr("adapter_config.json"));
  EXPECT_THAT(refusal(model_), HasSubstr("adapter_config.json"));  // a model is no adapter

  ASSERT_TRUE(copy_all(adapters_[0], scratch_ / "cut"));
  const std::string whole = read_file(scratch_ / "cut/adapter_model.safetensors").value();
  ASSERT_TRUE(
      write_file_atomic(scratch_ / "cut/adapter_model.safetensors", whole.substr(0, whole.size() / 2)));
  refusal(scratch_ / "cut");

  ModelConfig other = Checkpoint::open(model_).value().config();
  other.hidden_size = 32;
  other.head_dim = 4;
  ASSERT_TRUE(write_adapter(scratch_ / "other", testing::random_adapter(other, Kind::kLora, 1), other));
  EXPECT_THAT(refusal(scratch_ / "other"), HasSubstr("got another shape"));
}

TEST(EngineAdapter, AnAdapterBesideExpertsIsRefusedByName) {
  VOLANT_DATA_OR_SKIP(tokenizer, "models/tiny-qwen2");
  const testing::ScratchDir scratch;
  Random random(3);
  const ModelConfig config = ModelConfig::from_json(testing::random_config("mixtral", random)).value();
  ASSERT_TRUE(make_dirs(scratch / "model"));
  testing::write_random_model(scratch / "model", config, random);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    ASSERT_TRUE(write_file_atomic(scratch / "model" / file, read_file(tokenizer / file).value()));
  ASSERT_TRUE(write_adapter(scratch / "adapter", testing::random_adapter(config, Kind::kLora, 1), config));
  const auto opened = Engine::open(scratch / "model", {.n_threads = 1, .adapters = {scratch / "adapter"}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(opened.error().to_string(), HasSubstr("experts"));
}

}  // namespace
}  // namespace volant
