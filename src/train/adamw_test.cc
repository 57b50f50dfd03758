#include "train/adamw.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace volant {
namespace {

TorchModel small_model() {
  ModelConfig config;
  config.vocab_size = 19;
  config.hidden_size = 12;
  config.intermediate_size = 20;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 3;
  config.num_key_value_heads = 1;
  config.head_dim = 4;
  TorchModel model = TorchModel::create(config, {}).value();
  Random random(4);
  for (const auto& p : model.parameters())
    for (float& x : p.values) x = static_cast<float>(random.normal());
  return model;
}

TEST(AdamW, EqualsAPlainReferenceInDoublePrecision) {
  TorchModel model = small_model();
  AdamW optimiser(model);
  TrainJob job;
  job.beta1 = 0.9;
  job.beta2 = 0.95;
  job.eps = 1e-8;
  job.weight_decay = 0.1;
  std::vector<std::vector<double>> w, m, v;
  for (const auto& p : model.parameters()) {
    w.emplace_back(p.values.begin(), p.values.end());
    m.emplace_back(p.values.size());
    v.emplace_back(p.values.size());
  }
  Random random(8);
  for (int step = 0; step < 5; ++step) {
    const double lr = 0.01 / (1 + step), scale = step == 2 ? 0.25 : 1;
    double squares = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      const auto& p = model.parameters()[i];
      const double decay = p.spec.shape.size() > 1 ? job.weight_decay : 0;
      for (size_t j = 0; j < w[i].size(); ++j) {
        p.gradient[j] = static_cast<float>(random.normal());
        const double g = static_cast<double>(p.gradient[j]);
        squares += g * g;
        m[i][j] = job.beta1 * m[i][j] + (1 - job.beta1) * g * scale;
        v[i][j] = job.beta2 * v[i][j] + (1 - job.beta2) * g * scale * g * scale;
        const double m_hat = m[i][j] / (1 - std::pow(job.beta1, step + 1));
        const double v_hat = v[i][j] / (1 - std::pow(job.beta2, step + 1));
        w[i][j] -= lr * (m_hat / (std::sqrt(v_hat) + job.eps) + decay * w[i][j]);
      }
    }
    EXPECT_NEAR(AdamW::gradient_norm(model), std::sqrt(squares), 1e-4);
    optimiser.step(model, job, step, lr, scale);
  }
  for (size_t i = 0; i < w.size(); ++i) {
    const auto& p = model.parameters()[i];
    for (size_t j = 0; j < w[i].size(); ++j) {
      ASSERT_NEAR(static_cast<double>(p.values[j]), w[i][j], 2e-6) << p.spec.name << " " << j;
      ASSERT_EQ(p.gradient[j], 0.0F) << "gradients are cleared";
    }
  }
}

TEST(AdamW, LossFallsOnAToySet) {
  for (const bool bf16 : {false, true}) {
    const TorchModel source = small_model();
    TorchModel model = TorchModel::create(source.config(), {.bf16 = bf16}).value();
    Random random(4);
    for (const auto& p : model.parameters())
      for (float& x : p.values)
        x = p.spec.shape.size() == 1 ? 1.0F : static_cast<float>(0.2 * random.normal());
    model.weights_changed();
    AdamW optimiser(model);
    const std::vector<int32_t> tokens{1, 2, 3, 4, 5, 6, 7, 8}, targets{2, 3, 4, 5, 6, 7, 8, 9};
    const std::vector<int32_t> pos{0, 1, 2, 3, 4, 5, 6, 7}, begin{0, 8};
    const std::vector<float> weights(8, 1.0F);
    const Batch batch{.tokens = tokens, .pos = pos, .seq_begin = begin, .kv_slot = {}, .out_rows = pos};
    TrainJob job;
    job.weight_decay = 0;
    double first = 0, last = 0;
    for (int step = 0; step < 80; ++step) {
      last = model.loss_and_gradient(batch, targets, weights, 1.0F / 8).value() / 8;
      if (step == 0) first = last;
      optimiser.step(model, job, step, 0.02, 1);
    }
    EXPECT_GT(first, 2.5);
    EXPECT_LT(last, 0.1) << (bf16 ? "bf16" : "f32");
  }
}

}  // namespace
}  // namespace volant
