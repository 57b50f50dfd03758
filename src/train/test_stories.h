// For tests of whole runs: a tiny language model, its tokenizer, and shards of small documents.
#pragma once
#include "data/token_shard.h"
#include "models/checkpoint.h"
#include "support/test_data.h"
#include "train/test_run.h"

namespace volant::testing {

// "model" of a job.
inline JsonObject tiny_model() {
  return {{"config", JsonObject{{"hidden_size", 32},
                                {"intermediate_size", 64},
                                {"num_hidden_layers", 2},
                                {"num_attention_heads", 4},
                                {"num_key_value_heads", 2},
                                {"max_position_embeddings", 64},
                                {"tie_word_embeddings", true}}}};
}

class StoryRuns : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto data = test_data();
    if (!data) GTEST_SKIP() << "needs the test data folder; set VOLANT_TEST_DATA";
    tokenizer_ = *data / "models/stories260K";
    const auto tokenizer = load_tokenizer(tokenizer_).value();
    std::vector<std::vector<int32_t>> documents;
    for (int i = 0; i < 60; ++i) {
      const std::string text = "Once upon a time there were " + std::to_string(i) +
                               " cats. They liked number " + std::to_string(i * i) +
                               " and they ran away from the dog of the house.";
      documents.push_back(tokenizer->encode(text));
    }
    ASSERT_TRUE(write_token_shard(scratch_ / "validation", {documents.begin(), documents.begin() + 6}, 512));
    ASSERT_TRUE(write_token_shard(scratch_ / "train", {documents.begin() + 6, documents.end()}, 512));
  }

  JsonObject job() const {
    return {{"objective", "pretrain"},
            {"model", tiny_model()},
            {"tokenizer", tokenizer_.string()},
            {"data", JsonObject{{"train_shard", (scratch_ / "train").string()},
                                {"validation_shard", (scratch_ / "validation").string()}}},
            {"max_seq_len", 32},
            {"tokens_per_step", 256},
            {"micro_batch_tokens", 128},
            {"steps", 60},
            {"lr", 5e-3},
            {"warmup_steps", 5},
            {"evaluate_every", 20},
            {"checkpoint_every", 8},
            {"n_threads", 1}};
  }

  Path make_run(const std::string& name, const JsonObject& job) const { return runs_.make(name, job); }
  static Process start(const Path& run) { return TrainRuns::start(run); }
  static ProcessExit finish(const Path& run) { return TrainRuns::finish(run); }
  static std::vector<Json> events(const Path& run) { return TrainRuns::events(run); }

  TrainRuns runs_;
  Path scratch_ = runs_.folder();
  Path tokenizer_;
};

}  // namespace volant::testing
