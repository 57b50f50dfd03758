// For tests: what a loss should be, from a model's outputs for one text at a time, written in plain loops in
// double; and whether an objective's loss and gradient are that.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/token_rows.h"
#include "train/batches.h"
#include "train/model_folder.h"
#include "train/objective.h"

namespace volant::testing {

using Numbers = std::vector<double>;

// What a model gives for the rows of a text that it reads alone.
inline std::vector<Numbers> outputs_of(const TorchModel& model, const std::vector<int32_t>& ids,
                                       TokenRows::Read read = TokenRows::Read::kAll) {
  TokenRows rows;
  rows.add(ids, read);
  const std::vector<float> all = model.output(rows.view()).value();
  const size_t n = rows.out_rows.size();
  std::vector<Numbers> out;
  for (size_t r = 0; r < n; ++r)
    out.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(r * (all.size() / n)),
                     all.begin() + static_cast<std::ptrdiff_t>((r + 1) * (all.size() / n)));
  return out;
}

// log of softmax(row / temperature).
inline Numbers log_softmax(const Numbers& row, double temperature = 1) {
  const double top = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (const double x : row) total += std::exp((x - top) / temperature);
  Numbers log_p;
  for (const double x : row) log_p.push_back((x - top) / temperature - std::log(total));
  return log_p;
}

// log p of each id of a text after the first, given those before it.
inline Numbers log_probs_of(const TorchModel& model, const std::vector<int32_t>& ids) {
  const std::vector<Numbers> logits = outputs_of(model, {ids.begin(), ids.end() - 1});
  Numbers log_p;
  for (size_t i = 0; i < logits.size(); ++i)
    log_p.push_back(log_softmax(logits[i])[static_cast<size_t>(ids[i + 1])]);
  return log_p;
}

// A run as the trainer makes it, up to its first step. Others point into it: it stays where it is.
struct PreparedRun {
  TrainJob job;
  std::unique_ptr<Tokenizer> tokenizer;
  ModelConfig config;
  std::unique_ptr<Objective> objective;
  std::optional<TorchModel> model;

  static std::unique_ptr<PreparedRun> make(const JsonObject& json, const Path& folder) {
    auto run = std::make_unique<PreparedRun>();
    run->job = parse_train_job(json, folder).value();
    run->tokenizer = load_tokenizer(run->job.tokenizer).value();
    run->config = starting_config(run->job, run->tokenizer.get()).value();
    run->objective = make_objective({run->job, run->tokenizer.get(), run->config}).value();
    TorchOptions options = torch_options(run->job.trained);
    options.label_smoothing = static_cast<float>(run->job.label_smoothing);
    run->model = TorchModel::create(run->config, options).value();
    EXPECT_TRUE(fill_starting_weights(run->job, *run->model));
    EXPECT_TRUE(run->objective->prepare(*run->model));
    return run;
  }
};

// One number for each trained one.
using Direction = std::vector<std::vector<float>>;
inline Direction random_direction(const TorchModel& model, uint64_t seed) {
  Random random(seed);
  Direction direction;
  for (const auto& p : model.parameters()) {
    direction.emplace_back(p.values.size());
    for (float& x : direction.back()) x = static_cast<float>(random.normal());
  }
  return direction;
}
inline void move(TorchModel& model, const Direction& direction, float by) {
  for (size_t p = 0; p < direction.size(); ++p)
    for (size_t i = 0; i < direction[p].size(); ++i) model.parameters()[p].values[i] += by * direction[p][i];
  model.weights_changed();
}

using Expected = std::function<double(const TorchModel&)>;

// The gradient against differences of the expected loss: along its own direction the loss rises by its norm,
// in all parameters together and in some of the tensors alone.
inline void expect_gradient_of(TorchModel& model, const Expected& expected) {
  const size_t n = model.parameters().size();
  Direction gradient;
  for (const auto& p : model.parameters()) gradient.emplace_back(p.gradient.begin(), p.gradient.end());
  const auto norm_of = [&](size_t begin, size_t end) {
    double squares = 0;
    for (size_t p = begin; p < end; ++p)
      for (const float g : gradient[p]) squares += static_cast<double>(g) * static_cast<double>(g);
    return std::sqrt(squares);
  };
  const double whole = norm_of(0, n);
  ASSERT_GT(whole, 1e-5) << "there is nothing to learn";
  const auto check = [&](size_t begin, size_t end) {
    const double norm = norm_of(begin, end);
    if (norm < 0.01 * whole) return;  // too little to be seen in f32
    Direction unit(n);
    for (size_t p = begin; p < end; ++p)
      for (const float g : gradient[p]) unit[p].push_back(static_cast<float>(static_cast<double>(g) / norm));
    const float h = 2e-3F;
    move(model, unit, h);
    const double above = expected(model);
    move(model, unit, -2 * h);
    const double below = expected(model);
    move(model, unit, h);
    EXPECT_NEAR((above - below) / (2 * static_cast<double>(h)), norm, 0.015 * norm + 0.005 * whole)
        << model.parameters()[begin].spec.name << (end - begin > 1 ? " and all others" : "");
  };
  check(0, n);
  for (const size_t p : {size_t{0}, n / 3, 2 * n / 3, n - 1}) check(p, p + 1);
}

// The loss that the next step says and the gradient that it leaves.
inline StepLoss expect_loss_and_gradient(Objective& objective, TorchModel& model, const Expected& expected) {
  model.zero_gradients();
  StepLoss step = objective.step(model).value();
  const double loss = expected(model);
  EXPECT_NEAR(step.loss, loss, 2e-4 * (1 + std::abs(loss)));
  expect_gradient_of(model, expected);
  return step;
}

}  // namespace volant::testing
