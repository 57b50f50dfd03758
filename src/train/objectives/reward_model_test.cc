// The Bradley-Terry loss against its formula, and a reward model as a whole run.
#include "train/objectives/reward_model.h"

#include <gmock/gmock.h>

#include <cmath>

#include "models/checkpoint.h"
#include "support/test_data.h"
#include "train/test_run.h"

namespace volant {
namespace {

TEST(RewardModel, LossAndGradientAreThoseOfBradleyAndTerry) {
  const std::vector<float> scores{1.5F, 0.25F, -2.0F, 1.0F, 300.0F, -300.0F, -300.0F, 300.0F};
  const std::vector<double> weights{1, 0.5, 1, 2};
  std::vector<float> gradient(scores.size());
  const double loss = bradley_terry_loss(scores, weights, gradient);
  EXPECT_NEAR(loss, std::log(1 + std::exp(-1.25)) + 0.5 * std::log(1 + std::exp(3.0)) + 0 + 2 * 600, 1e-9);
  EXPECT_NEAR(gradient[0], -1 / (1 + std::exp(1.25)), 1e-6);
  EXPECT_NEAR(gradient[1], 1 / (1 + std::exp(1.25)), 1e-6);
  EXPECT_NEAR(gradient[2], -0.5 / (1 + std::exp(-3.0)), 1e-6);
  EXPECT_NEAR(gradient[4], 0, 1e-12);
  EXPECT_NEAR(gradient[7], 2, 1e-6);
  // Differences of the loss along each score.
  for (size_t i = 0; i < 4; ++i) {
    std::vector<float> moved = scores;
    moved[i] += 1e-2F;
    const double up = bradley_terry_loss(moved, weights, {});
    moved[i] -= 2e-2F;
    EXPECT_NEAR(gradient[i], (up - bradley_terry_loss(moved, weights, {})) / 2e-2, 1e-4) << i;
  }
}

TEST(RewardModel, LearnsWhichAnswersPeopleChooseAndGoesOnExactlyAfterSigkill) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::TrainRuns runs;
  std::string rows;
  for (int i = 0; i < 16; ++i)
    rows += dump_json(JsonObject{{"prompt", "Tom has " + std::to_string(i) + " toys."},
                                 {"chosen", "He was happy."},
                                 {"rejected", "He was sad."}}) +
            "\n";
  const Path file = runs.folder() / "pairs.jsonl";
  ASSERT_TRUE(write_file_atomic(file, rows));
  const JsonObject job{
      {"objective", "reward_model"},
      {"model", JsonObject{{"init_from", model.string()}}},
      {"data", JsonObject{{"train_rows", file.string()}, {"validation_rows", file.string()}}},
      {"max_seq_len", 64},
      {"tokens_per_step", 512},
      {"micro_batch_tokens", 256},
      {"steps", 20},
      {"lr", 1e-3},
      {"warmup_steps", 2},
      {"evaluate_every", 10},
      {"checkpoint_every", 5},
      {"n_threads", 1}};
  runs.expect_exact_resume(job, {3, 9});
  const Path run = runs.folder() / "whole";
  Json last;
  for (const Json& event : testing::TrainRuns::events(run))
    if (json_string(event, "type").value() == "eval") last = event;
  EXPECT_EQ(last.at("metrics").at("accuracy").at("value").to_number<double>(), 1);
  const Checkpoint trained = Checkpoint::open(run / "model").value();
  EXPECT_EQ(trained.config().architecture, "LlamaForSequenceClassification");
  EXPECT_EQ(trained.config().labels, std::vector<std::string>{"reward"});
}

}  // namespace
}  // namespace volant
