#include "train/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/job_words.h"
#include "train/schedule.h"

namespace volant {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::StartsWith;

Json small_job() {
  return JsonObject{{"objective", "pretrain"},
                    {"model", JsonObject{{"config", JsonObject{{"hidden_size", 64}}}}},
                    {"tokenizer", "tok"},
                    {"data", JsonObject{{"train_shard", "train"}}}};
}
Result<TrainJob> parse(const Json& json) { return parse_train_job(json, "/run"); }

TEST(TrainJob, PathsAreRelativeToItsFolderAndDefaultsHold) {
  const TrainJob job = parse(small_job()).value();
  EXPECT_EQ(job.tokenizer, "/run/tok");
  EXPECT_EQ(job.train_shard, "/run/train");
  EXPECT_EQ(job.steps, 400);
  EXPECT_EQ(job.dtype, "auto");
  EXPECT_TRUE(job.validation_shard.empty());
}

TEST(TrainJob, UnknownKeysNameTheNearestKey) {
  Json json = small_job();
  json.as_object()["learnign_rate"] = 1;
  json.as_object()["tokens_per_stp"] = 1;
  json.as_object().erase("learnign_rate");
  EXPECT_EQ(parse(json).error().message, "unknown key 'tokens_per_stp', did you mean 'tokens_per_step'?");
  json = small_job();
  json.at("data").as_object()["train_shards"] = "x";
  EXPECT_EQ(parse(json).error().message, "unknown key 'train_shards' in 'data', did you mean 'train_shard'?");
}

TEST(TrainJob, WrongValuesSayWhatWasExpected) {
  const auto message = [](const char* key, const Json& value) {
    Json json = small_job();
    json.as_object()[key] = value;
    const auto job = parse(json);
    return job ? std::string("accepted") : job.error().message;
  };
  EXPECT_EQ(message("lr", -1), "'lr': expected 0 to 10, got -1");
  EXPECT_NE(message("lr", "high"), "accepted");
  EXPECT_EQ(message("steps", 0), "'steps': expected 1 to 1099511627776, got 0");
  EXPECT_EQ(message("dtype", "int4"), "'dtype': expected one of auto, bf16, f32, got 'int4'");
  EXPECT_THAT(message("objective", "guess"),
              AllOf(StartsWith("'objective': expected one of pretrain, sft,"), EndsWith("got 'guess'")));
  EXPECT_THAT(message("schedule", "cosin"), EndsWith("got 'cosin', did you mean 'cosine'?"));
  EXPECT_EQ(message("objective", "sft"), "'data': expected 'train_rows' for this objective");
  EXPECT_NE(message("model", JsonObject{}), "accepted");
  EXPECT_NE(message("model", JsonObject{{"init_from", "a"}, {"config", JsonObject{{"x", 1}}}}), "accepted");
  EXPECT_NE(message("data", Json()), "accepted");
}

TEST(TrainJob, SettingsOfAnotherObjectiveAreRefused) {
  Json json = small_job();
  json.as_object()["grpo"] = JsonObject{{"beta", 0.1}};
  EXPECT_EQ(parse(json).error().message, "'grpo' is of no use with this objective: leave it out");
  json.as_object()["objective"] = "grpo";
  json.as_object()["data"] = JsonObject{{"toy_arithmetic", JsonObject{}}};
  EXPECT_EQ(parse(json).value().grpo.beta, 0.1);
  EXPECT_EQ(parse(json).value().train_rows, "/run/toy_train.jsonl");
  json.as_object()["grpo"] = JsonObject{{"reward", "exact"}};
  EXPECT_THAT(parse(json).error().message, StartsWith("'reward': expected one of exact_match, arithmetic"));
  json.as_object()["grpo"] = JsonObject{{"group_sise", 4}};
  EXPECT_EQ(parse(json).error().message, "unknown key 'group_sise' in 'grpo', did you mean 'group_size'?");
  json.as_object()["grpo"] = JsonObject{{"reward", "regex"}, {"pattern", "("}};
  EXPECT_FALSE(parse(json));
}

TEST(TrainJob, EveryObjectiveAndLossIsReadUnderItsName) {
  for (const std::string& name : job_words("objective")) {
    Json json = small_job();
    json.as_object()["objective"] = name;
    json.as_object()["data"] = JsonObject{{"train_shard", "train"}, {"train_rows", "rows"}};
    if (name == "predict") {
      json.as_object().erase("tokenizer");
      json.as_object()["task"] = "table";
      json.as_object()["encoder"] = "made";
    }
    EXPECT_EQ(parse(json).value().objective_name(), name);
  }
  using Objective = TrainJob::Objective;
  EXPECT_EQ(job_words("objective").at(static_cast<size_t>(Objective::kRewardModel)), "reward_model");
  EXPECT_EQ(job_words("objective").at(static_cast<size_t>(Objective::kGrpo)), "grpo");
  EXPECT_EQ(job_words("objective").at(static_cast<size_t>(Objective::kPredict)), "predict");
  for (const std::string& name : job_words("preference.loss"))
    EXPECT_EQ(parse_preference_job(JsonObject{{"loss", name}}).value().loss_name(), name);
}

TEST(TrainJob, EitherStepsOrEpochs) {
  Json json = small_job();
  json.as_object()["epochs"] = 2;
  EXPECT_EQ(parse(json).value().epochs, 2);
  json.as_object()["steps"] = 10;
  EXPECT_FALSE(parse(json));
}

TEST(TrainJob, TheDigestLeavesOutThreads) {
  Json json = small_job();
  const std::string before = parse(json).value().digest();
  json.as_object()["n_threads"] = 1;
  EXPECT_EQ(parse(json).value().digest(), before);
  json.as_object()["lr"] = 0.5;
  EXPECT_NE(parse(json).value().digest(), before);
}

TEST(Schedule, WarmsUpThenFallsAsACosine) {
  TrainJob job;
  job.steps = 100;
  job.warmup_steps = 10;
  job.lr = 1;
  job.min_lr_ratio = 0.1;
  const auto rate = [&](int64_t step) { return learning_rate(job, step, train_progress(job, step, 0)); };
  EXPECT_DOUBLE_EQ(rate(0), 0.1);
  EXPECT_DOUBLE_EQ(rate(9), 1.0);
  EXPECT_DOUBLE_EQ(rate(10), 1.0);
  EXPECT_NEAR(rate(55), 0.55, 1e-12);
  EXPECT_NEAR(rate(100), 0.1, 1e-12);
}

TEST(Schedule, ASlowMachineStillEndsItsCosineInTime) {
  TrainJob job;
  job.steps = 100;
  job.warmup_steps = 0;
  job.lr = 1;
  job.min_lr_ratio = 0;
  job.max_seconds = 10;
  EXPECT_DOUBLE_EQ(train_progress(job, 3, 5), 0.5);
  EXPECT_DOUBLE_EQ(train_progress(job, 80, 5), 0.8);
  EXPECT_DOUBLE_EQ(train_progress(job, 3, 99), 1);
  EXPECT_NEAR(learning_rate(job, 3, 1), 0, 1e-12);
}

TEST(Schedule, EachShapeHasItsPoints) {
  TrainJob job;
  job.lr = 2;
  job.steps = 100;
  job.warmup_steps = 0;
  job.min_lr_ratio = 0.1;
  const auto rate = [&](const char* name, int64_t step, int64_t plateaus = 0) {
    job.schedule = name;
    return learning_rate(job, step, train_progress(job, step, 0), plateaus);
  };
  EXPECT_DOUBLE_EQ(rate("constant", 99), 2);
  EXPECT_DOUBLE_EQ(rate("linear", 50), 2 * 0.55);
  job.step_every = 30;
  job.step_gamma = 0.5;
  EXPECT_DOUBLE_EQ(rate("step", 29), 2);
  EXPECT_DOUBLE_EQ(rate("step", 61), 0.5);
  EXPECT_DOUBLE_EQ(rate("plateau", 99, 2), 0.5);
  EXPECT_DOUBLE_EQ(rate("plateau", 99, 9), 0.2) << "not below min_lr_ratio";
  EXPECT_NEAR(rate("one_cycle", 0), 0.08, 1e-12);
  EXPECT_NEAR(rate("one_cycle", 30), 2, 1e-12);
  EXPECT_NEAR(rate("one_cycle", 65), 1.001, 1e-12) << "half the way down to a thousandth";
}

}  // namespace
}  // namespace volant
