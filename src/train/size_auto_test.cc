#include "train/size_auto.h"

#include <gtest/gtest.h>

#include <cmath>

namespace volant {
namespace {

TEST(SizeAuto, APilotIsCarriedOverToMoreParametersAndTokens) {
  EXPECT_DOUBLE_EQ(predicted_loss(4, 0, 1e6, 1e7, 1e6, 1e7), 4);
  EXPECT_NEAR(predicted_loss(4, 0, 1e6, 1e7, 8e6, 1e7), 2 * (std::pow(8, -0.34) + 1), 1e-12);
  EXPECT_NEAR(predicted_loss(4, 0, 1e6, 1e7, 1e6, 8e7), 2 * (1 + std::pow(8, -0.28)), 1e-12);
}

TEST(SizeAuto, NoModelIsExpectedBelowTheFloor) {
  EXPECT_NEAR(loss_floor(4.3), 1.69, 0.02) << "as in the paper";
  EXPECT_NEAR(predicted_loss(4, 1, 1e6, 1e7, 8e6, 1e7), 1 + 1.5 * (std::pow(8, -0.34) + 1), 1e-12);
  EXPECT_NEAR(predicted_loss(4, 1, 1e6, 1e7, 1e30, 1e40), 1, 1e-6);
  EXPECT_DOUBLE_EQ(predicted_loss(0.5, 1, 1e6, 1e7, 1e9, 1e10), 0.5) << "a text simpler than most";
}

TEST(SizeAuto, TokensReadAgainAreWorthLess) {
  EXPECT_DOUBLE_EQ(effective_tokens(1000, 600), 600);
  EXPECT_DOUBLE_EQ(effective_tokens(1000, 1000), 1000);
  EXPECT_NEAR(effective_tokens(1000, 4000), 1000 + 15390 * (1 - std::exp(-3 / 15.39)), 1e-9);
  EXPECT_LT(effective_tokens(1000, 1e9), 1000 * (1 + 15.39) + 1e-6) << "never more than so many fresh ones";
}

TEST(SizeAuto, EveryRungIsAModelAndLargerThanTheOneBefore) {
  const JsonObject base{{"model_type", "llama"}, {"vocab_size", 512}};
  int64_t before = 0;
  for (int step = 0; step < ladder_size(); ++step) {
    const auto config = ModelConfig::from_json(ladder_config(base, step));
    ASSERT_TRUE(config) << config.error().to_string();
    EXPECT_EQ(config->head_dim, 32);
    EXPECT_GT(config->n_parameters(), before);
    before = config->n_parameters();
  }
}

}  // namespace
}  // namespace volant
