// GRPO as a whole run: it learns what is rewarded, and goes on exactly after it was killed.
#include <gmock/gmock.h>

#include "support/test_data.h"
#include "train/test_run.h"

namespace volant {
namespace {

JsonObject grpo_job(const Path& model, const Path& rows) {
  return {
      {"objective", "grpo"},
      {"model", JsonObject{{"init_from", model.string()}}},
      {"data", JsonObject{{"train_rows", rows.string()}, {"validation_rows", rows.string()}}},
      {"grpo",
       JsonObject{{"prompts_per_step", 2}, {"group_size", 8}, {"max_new_tokens", 6}, {"reward", "regex"}}},
      {"max_seq_len", 96},
      {"micro_batch_tokens", 512},
      {"steps", 16},
      {"lr", 1e-3},
      {"warmup_steps", 0},
      {"weight_decay", 0},
      {"evaluate_every", 8},
      {"checkpoint_every", 3},
      {"n_threads", 1}};
}

// Rewarded is an answer with the letter k: of every ten at first three.
Path write_rows(const testing::TrainRuns& runs) {
  const Path rows = runs.folder() / "rows.jsonl";
  std::string text;
  for (const char* prompt : {"Once upon a time", "The dog", "She was", "Tom and Ann"})
    text += dump_json(JsonObject{{"prompt", prompt}, {"answer", "k"}}) + "\n";
  EXPECT_TRUE(write_file_atomic(rows, text));
  return rows;
}

double reward_of(const Json& event) { return event.at("metrics").at("reward").to_number<double>(); }

TEST(Grpo, WhatIsRewardedBecomesLikelier) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::TrainRuns runs;
  JsonObject job = grpo_job(model, write_rows(runs));
  job["grpo"].as_object()["beta"] = 0.01;
  job["steps"] = 30;
  const Path run = runs.make("run", job);
  ASSERT_EQ(runs.finish(run).status, 0) << runs.errors(run);
  double first = 0, last = 0;
  for (const Json& event : runs.events(run)) {
    if (json_string(event, "type").value() != "step") continue;
    const int64_t step = json_int(event, "step").value();
    if (step <= 5) first += reward_of(event) / 5;
    if (step > 25) last += reward_of(event) / 5;
    EXPECT_GE(event.at("metrics").at("kl").to_number<double>(), 0);
  }
  EXPECT_GT(last, first + 0.3);
}

TEST(Grpo, KilledBetweenTwoStepsOnTheSameAnswersItGoesOnBitForBit) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::TrainRuns runs;
  JsonObject job = grpo_job(model, write_rows(runs));
  job["grpo"].as_object()["inner_epochs"] = 2;  // a checkpoint after step 3 lies between two of them
  job["grpo"].as_object()["beta"] = 0.05;
  runs.expect_exact_resume(job, {5, 9, 14});
}

TEST(Grpo, RowsWithoutAnswerOrRoomAreErrorsWithTheirLine) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::TrainRuns runs;
  const auto error = [&](const std::string& name, const char* row, const char* words) {
    const Path rows = runs.folder() / (name + ".jsonl");
    EXPECT_TRUE(write_file_atomic(rows, std::string(row) + "\n"));
    const Path run = runs.make(name, grpo_job(model, rows));
    EXPECT_NE(runs.finish(run).status, 0);
    EXPECT_THAT(runs.errors(run), ::testing::HasSubstr(words));
    EXPECT_THAT(runs.errors(run), ::testing::HasSubstr(name + ".jsonl:1"));
  };
  error("answer", R"({"prompt": "Hi"})", "'answer': expected a text or a number");
  error("prompt", R"({"question": "Hi", "answer": 3})", "expected 'prompt'");
  error("pattern", R"({"prompt": "Hi", "answer": "("})", "");
  const std::string longer(400, 'x');
  error("long", (R"({"prompt": ")" + longer + R"(", "answer": "e"})").c_str(), "no room for an answer");
}

}  // namespace
}  // namespace volant
