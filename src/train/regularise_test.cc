#include "train/regularise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "train/optimizer.h"

namespace volant {
namespace {

TorchModel small_model() {
  ModelConfig config;
  config.vocab_size = 300;
  config.hidden_size = 16;
  config.intermediate_size = 32;
  config.num_hidden_layers = 1;
  config.num_attention_heads = config.num_key_value_heads = 2;
  config.head_dim = 8;
  return TorchModel::create(config, {}).value();
}

TEST(Regularise, L1PullsEveryWeightOfAMatrixToZeroByTheSameForce) {
  const TorchModel model = small_model();
  for (const auto& p : model.parameters()) {
    p.values[0] = 0.5F;
    p.values[1] = -3;
    p.gradient[0] = 1;
  }
  add_l1_gradient(model, 0.25);
  for (const auto& p : model.parameters()) {
    const float slope = decays(p) ? 0.25F : 0;
    EXPECT_EQ(p.gradient[0], 1 + slope) << p.spec.name;
    EXPECT_EQ(p.gradient[1], -slope);
    EXPECT_EQ(p.gradient[2], 0) << "a weight of 0 stays";
  }
}

// The deviation of n normal numbers lies within 5 / sqrt(2 n) of the truth.
TEST(Regularise, GradientNoiseHasTheVarianceOfItsStepAndComesAgain) {
  const auto noise = [](uint64_t step) {
    const TorchModel model = small_model();
    add_gradient_noise(model, 0.3, 7, step);
    std::vector<float> all;
    for (const auto& p : model.parameters()) all.insert(all.end(), p.gradient.begin(), p.gradient.end());
    return all;
  };
  for (const uint64_t step : {0, 99}) {
    const std::vector<float> all = noise(step);
    double mean = 0, squares = 0;
    for (const float x : all) {
      mean += static_cast<double>(x) / static_cast<double>(all.size());
      squares += static_cast<double>(x) * static_cast<double>(x) / static_cast<double>(all.size());
    }
    const double deviation = std::sqrt(0.3 / std::pow(1.0 + static_cast<double>(step), 0.55));
    EXPECT_NEAR(mean / deviation, 0, 5 / std::sqrt(static_cast<double>(all.size())));
    EXPECT_NEAR(std::sqrt(squares) / deviation, 1, 5 / std::sqrt(2 * static_cast<double>(all.size())));
    EXPECT_EQ(noise(step), all);
  }
  EXPECT_NE(noise(0), noise(1));
}

}  // namespace
}  // namespace volant
