#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/random.h"
#include "data/job_words.h"
#include "support/scratch_dir.h"
#include "train/weight_average.h"

namespace volant {
namespace {

constexpr double kRate = 0.01;

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

TEST(Optimizer, AdamWEqualsAPlainReferenceInDoublePrecision) {
  TorchModel model = small_model();
  TrainJob job;
  const auto optimiser = make_optimizer(job, model);
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
    EXPECT_NEAR(gradient_norm(model), std::sqrt(squares), 1e-4);
    optimiser->step(model, step, lr, scale);
  }
  for (size_t i = 0; i < w.size(); ++i) {
    const auto& p = model.parameters()[i];
    for (size_t j = 0; j < w[i].size(); ++j) {
      ASSERT_NEAR(static_cast<double>(p.values[j]), w[i][j], 2e-6) << p.spec.name << " " << j;
      ASSERT_EQ(p.gradient[j], 0.0F) << "gradients are cleared";
    }
  }
}

using Numbers = std::vector<std::vector<double>>;

// Takes five steps with `name` on random gradients, and calls `reference` with each: (parameter, step,
// weights, gradients) -> new weights, all in double. Then the weights must agree.
void expect_steps(
    const std::string& name, TrainJob job, double tolerance,
    const std::function<void(size_t, int, std::vector<double>&, const std::vector<double>&)>& reference) {
  TorchModel model = small_model();
  job.optimizer = name;
  const auto optimiser = make_optimizer(job, model);
  Numbers w;
  for (const auto& p : model.parameters()) w.emplace_back(p.values.begin(), p.values.end());
  Random random(8);
  for (int step = 0; step < 5; ++step) {
    for (size_t i = 0; i < w.size(); ++i) {
      const auto& p = model.parameters()[i];
      for (float& g : p.gradient) g = static_cast<float>(random.normal());
      std::vector<double> g(p.gradient.begin(), p.gradient.end());
      for (double& x : g) x *= 0.5;
      reference(i, step, w[i], g);
    }
    optimiser->step(model, step, kRate, 0.5);
  }
  for (size_t i = 0; i < w.size(); ++i) {
    const auto& p = model.parameters()[i];
    for (size_t j = 0; j < w[i].size(); ++j) {
      ASSERT_NEAR(static_cast<double>(p.values[j]), w[i][j], tolerance) << p.spec.name << " " << j;
      ASSERT_EQ(p.gradient[j], 0.0F) << "gradients are cleared";
    }
  }
}

bool is_vector(size_t i) { return small_model().parameters()[i].spec.shape.size() == 1; }

TEST(Optimizer, AdamAddsDecayToTheGradient) {
  TrainJob job;
  job.weight_decay = 0.1;
  Numbers m(64), v(64);
  expect_steps("adam", job, 4e-6,
               [&](size_t i, int step, std::vector<double>& w, const std::vector<double>& g) {
                 m[i].resize(w.size());
                 v[i].resize(w.size());
                 for (size_t j = 0; j < w.size(); ++j) {
                   const double gradient = g[j] + (is_vector(i) ? 0 : 0.1 * w[j]);
                   m[i][j] = 0.9 * m[i][j] + 0.1 * gradient;
                   v[i][j] = 0.95 * v[i][j] + 0.05 * gradient * gradient;
                   w[j] -= kRate * (m[i][j] / (1 - std::pow(0.9, step + 1))) /
                           (std::sqrt(v[i][j] / (1 - std::pow(0.95, step + 1))) + 1e-8);
                 }
               });
}

TEST(Optimizer, LionGoesByTheSign) {
  TrainJob job;
  job.beta1 = 0.9;
  job.beta2 = 0.99;
  job.weight_decay = 0.3;
  Numbers m(64);
  expect_steps("lion", job, 2e-6, [&](size_t i, int, std::vector<double>& w, const std::vector<double>& g) {
    m[i].resize(w.size());
    for (size_t j = 0; j < w.size(); ++j) {
      const double mixed = 0.9 * m[i][j] + 0.1 * g[j];
      w[j] -= kRate * ((mixed > 0 ? 1 : -1) + (is_vector(i) ? 0 : 0.3 * w[j]));
      m[i][j] = 0.99 * m[i][j] + 0.01 * g[j];
    }
  });
}

TEST(Optimizer, SgdHasMomentumPlainAndNesterov) {
  for (const bool nesterov : {false, true}) {
    TrainJob job;
    job.momentum = 0.8;
    job.nesterov = nesterov;
    job.weight_decay = 0;
    Numbers m(64);
    expect_steps("sgd", job, 2e-6, [&](size_t i, int, std::vector<double>& w, const std::vector<double>& g) {
      m[i].resize(w.size());
      for (size_t j = 0; j < w.size(); ++j) {
        m[i][j] = 0.8 * m[i][j] + g[j];
        w[j] -= kRate * (nesterov ? g[j] + 0.8 * m[i][j] : m[i][j]);
      }
    });
  }
}

TEST(Optimizer, AdafactorKeepsARowAndAColumnOfSecondMoments) {
  TrainJob job;
  job.weight_decay = 0;
  Numbers row(64), column(64);
  expect_steps(
      "adafactor", job, 5e-6, [&](size_t i, int step, std::vector<double>& w, const std::vector<double>& g) {
        const double beta2 = 1 - std::pow(step + 1, -0.8);
        const auto shape = small_model().parameters()[i].spec.shape;
        const size_t columns = shape.size() == 2 ? static_cast<size_t>(shape[1]) : 1,
                     rows = w.size() / columns;
        row[i].resize(rows);
        column[i].resize(columns);
        Numbers second(rows, std::vector<double>(columns));
        double all = 0;
        std::vector<double> row_mean(rows), column_mean(columns);
        for (size_t j = 0; j < w.size(); ++j) {
          row_mean[j / columns] += g[j] * g[j] / static_cast<double>(columns);
          column_mean[j % columns] += g[j] * g[j] / static_cast<double>(rows);
        }
        for (size_t r = 0; r < rows; ++r) row[i][r] = beta2 * row[i][r] + (1 - beta2) * row_mean[r];
        for (size_t c = 0; c < columns; ++c)
          column[i][c] = beta2 * column[i][c] + (1 - beta2) * column_mean[c];
        for (size_t r = 0; r < rows; ++r) all += row[i][r] / static_cast<double>(rows);
        std::vector<double> update(w.size());
        double squares = 0;
        for (size_t j = 0; j < w.size(); ++j) {
          const double v = shape.size() == 2 ? row[i][j / columns] * column[i][j % columns] / all : row[i][j];
          update[j] = g[j] / std::sqrt(v);
          squares += update[j] * update[j];
        }
        const double rms = std::sqrt(squares / static_cast<double>(w.size()));
        for (size_t j = 0; j < w.size(); ++j) w[j] -= kRate * update[j] / std::max(1.0, rms);
      });
}

// [rows, columns] times its own transpose and so on, in plain loops.
Numbers times(const Numbers& a, const Numbers& b) {
  Numbers c(a.size(), std::vector<double>(b[0].size()));
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t k = 0; k < b.size(); ++k)
      for (size_t j = 0; j < b[0].size(); ++j) c[i][j] += a[i][k] * b[k][j];
  return c;
}
Numbers turned(const Numbers& a) {
  Numbers t(a[0].size(), std::vector<double>(a.size()));
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < a[0].size(); ++j) t[j][i] = a[i][j];
  return t;
}

TEST(Optimizer, MuonMakesTheMomentumOfMatricesOrthogonal) {
  TrainJob job;
  job.momentum = 0.95;
  job.weight_decay = 0.1;
  Numbers m(64), v(64);
  expect_steps(
      "muon", job, 2e-4, [&](size_t i, int step, std::vector<double>& w, const std::vector<double>& g) {
        m[i].resize(w.size());
        v[i].resize(w.size());
        const TensorSpec spec = small_model().parameters()[i].spec;
        if (spec.role != TensorRole::kMatrix) {
          for (size_t j = 0; j < w.size(); ++j) {
            m[i][j] = 0.9 * m[i][j] + 0.1 * g[j];
            v[i][j] = 0.95 * v[i][j] + 0.05 * g[j] * g[j];
            const double decay = is_vector(i) ? 0 : 0.1 * w[j];
            w[j] -= kRate * (decay + m[i][j] / (1 - std::pow(0.9, step + 1)) /
                                         (std::sqrt(v[i][j] / (1 - std::pow(0.95, step + 1))) + 1e-8));
          }
          return;
        }
        const auto rows = static_cast<size_t>(spec.shape[0]), columns = static_cast<size_t>(spec.shape[1]);
        Numbers x(rows, std::vector<double>(columns));
        double squares = 0;
        for (size_t j = 0; j < w.size(); ++j) {
          m[i][j] = 0.95 * m[i][j] + g[j];
          x[j / columns][j % columns] = g[j] + 0.95 * m[i][j];
          squares += x[j / columns][j % columns] * x[j / columns][j % columns];
        }
        for (auto& each : x)
          for (double& one : each) one /= std::sqrt(squares);
        for (int k = 0; k < 5; ++k) {
          const Numbers a = times(x, turned(x)), aa = times(a, a);
          Numbers b = a;
          for (size_t r = 0; r < b.size(); ++r)
            for (size_t c = 0; c < b.size(); ++c) b[r][c] = -4.7750 * a[r][c] + 2.0315 * aa[r][c];
          const Numbers bx = times(b, x);
          for (size_t r = 0; r < rows; ++r)
            for (size_t c = 0; c < columns; ++c) x[r][c] = 3.4445 * x[r][c] + bx[r][c];
        }
        const double size = kRate * 0.2 * std::sqrt(static_cast<double>(std::max(rows, columns)));
        for (size_t j = 0; j < w.size(); ++j)
          w[j] += -kRate * 0.1 * w[j] - size * x[j / columns][j % columns];
      });
}

TEST(Optimizer, LossFallsOnAToySetWithEach) {
  for (const std::string& name : job_words("optimizer")) {
    SCOPED_TRACE(name);
    for (const bool bf16 : {false, true}) {
      if (bf16 && name != "adamw") continue;
      const TorchModel source = small_model();
      TorchModel model = TorchModel::create(source.config(), {.bf16 = bf16}).value();
      Random random(4);
      for (const auto& p : model.parameters())
        for (float& x : p.values)
          x = p.spec.shape.size() == 1 ? 1.0F : static_cast<float>(0.2 * random.normal());
      model.weights_changed();
      TrainJob job;
      job.optimizer = name;
      job.weight_decay = 0;
      const auto optimiser = make_optimizer(job, model);
      const std::vector<int32_t> tokens{1, 2, 3, 4, 5, 6, 7, 8}, targets{2, 3, 4, 5, 6, 7, 8, 9};
      const std::vector<int32_t> pos{0, 1, 2, 3, 4, 5, 6, 7}, begin{0, 8};
      const std::vector<float> weights(8, 1.0F);
      const Batch batch{.tokens = tokens, .pos = pos, .seq_begin = begin, .kv_slot = {}, .out_rows = pos};
      double first = 0, last = 0;
      for (int step = 0; step < 80; ++step) {
        last = model.loss_and_gradient(batch, targets, weights, 1.0F / 8).value() / 8;
        if (step == 0) first = last;
        optimiser->step(model, step, name == "sgd" ? 0.1 : name == "lion" ? 0.004 : 0.02, 1);
      }
      EXPECT_GT(first, 2.5);
      EXPECT_LT(last, 0.1) << (bf16 ? "bf16" : "f32");
    }
  }
}

TEST(MovingAverage, FollowsTheWeightsAndChangesPlacesWithThem) {
  TorchModel model = small_model();
  const float before = model.parameters()[0].values[0];
  MovingAverage average(model, 0.5);
  model.parameters()[0].values[0] = before + 1;
  average.update(model, 100);
  average.swap(model);
  EXPECT_FLOAT_EQ(model.parameters()[0].values[0], before + 0.5F);
  average.swap(model);
  EXPECT_FLOAT_EQ(model.parameters()[0].values[0], before + 1);
  model.parameters()[0].values[0] = before;
  average.update(model, 0);  // early: (1 + 0) / (10 + 0) of the old
  average.swap(model);
  EXPECT_FLOAT_EQ(model.parameters()[0].values[0], 0.1F * (before + 0.5F) + 0.9F * before);
}

TEST(AverageRecent, IsTheMeanOfTheLastCheckpoints) {
  const testing::ScratchDir dir;
  TorchModel model = small_model();
  const float before = model.parameters()[0].values[0];
  for (int step = 1; step <= 5; ++step) {
    model.parameters()[0].values[0] = before + static_cast<float>(step);
    ASSERT_TRUE(keep_recent(dir / "recent", 3, model, step * 10));
  }
  EXPECT_EQ(average_recent(dir / "recent", model).value(), 3);
  EXPECT_FLOAT_EQ(model.parameters()[0].values[0], before + 4);
}

}  // namespace
}  // namespace volant
