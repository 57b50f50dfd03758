#include "train/objectives/predict_figures.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/check.h"
#include "tasks/problem.h"
#include "train/figures.h"
#include "train/interval.h"

namespace volant {
namespace {

JsonObject label_figures(const ModelConfig& config, std::span<const float> outputs,
                         std::span<const int32_t> labels) {
  const std::vector<int32_t> guesses = decided_labels(config, outputs);
  const std::vector<double> right = prediction_by_row(config, outputs, {.labels = labels}).values;
  const auto f1 = [&](std::span<const uint32_t> rows) {
    return macro_f1(labels, guesses, config.labels.size(), rows);
  };
  JsonObject figures{{"accuracy", mean_with_interval(right)}, {"macro_f1", with_interval(labels.size(), f1)}};
  if (config.labels.size() != 2) return figures;
  const size_t n = outputs.size() / labels.size();
  std::vector<double> scores(labels.size());
  for (size_t r = 0; r < labels.size(); ++r)
    scores[r] =
        static_cast<double>(outputs[r * n + n - 1]) - (n == 2 ? static_cast<double>(outputs[r * n]) : 0);
  const RocAuc auc(labels, scores);
  figures["auc"] = with_interval(labels.size(), auc);
  return figures;
}

JsonObject number_figures(const ModelConfig& config, std::span<const float> outputs,
                          std::span<const double> targets) {
  const std::vector<double> values(outputs.begin(), outputs.end());
  const std::vector<double> distances = prediction_by_row(config, outputs, {.numbers = targets}).values;
  std::vector<double> squares;
  for (const double distance : distances) squares.push_back(distance * distance);
  const auto r2 = [&](std::span<const uint32_t> rows) { return r_squared(targets, values, rows); };
  return {{"mse", mean_with_interval(squares)},
          {"mae", mean_with_interval(distances)},
          {"r2", with_interval(values.size(), r2)}};
}

}  // namespace

JsonObject prediction_figures(const ModelConfig& config, std::span<const float> outputs,
                              const LossTargets& targets) {
  return problem_of(config) == Problem::kNumber ? number_figures(config, outputs, targets.numbers)
                                                : label_figures(config, outputs, targets.labels);
}

RowFigure prediction_by_row(const ModelConfig& config, std::span<const float> outputs,
                            const LossTargets& targets) {
  if (problem_of(config) == Problem::kNumber) {
    const double unit = std::get<NetworkFields>(config.own).target_deviation;
    RowFigure figure{.name = "mae", .values = {}, .higher_is_better = false};
    for (size_t r = 0; r < outputs.size(); ++r)
      figure.values.push_back(unit * std::abs(static_cast<double>(outputs[r]) - targets.numbers[r]));
    return figure;
  }
  const std::vector<int32_t> guesses = decided_labels(config, outputs);
  RowFigure figure{.name = "accuracy", .values = {}, .higher_is_better = true};
  for (size_t r = 0; r < guesses.size(); ++r)
    figure.values.push_back(targets.labels[r] == guesses[r] ? 1 : 0);
  return figure;
}

std::vector<int32_t> decided_labels(const ModelConfig& config, std::span<const float> outputs) {
  if (problem_of(config) == Problem::kClasses) return best_labels(outputs, config.labels.size());
  std::vector<int32_t> labels;
  for (const float score : outputs) labels.push_back(score > 0 ? 1 : 0);
  return labels;
}

Json PredictionParity::to_json() const {
  return JsonObject{{"rows", rows},
                    {"max_abs_difference", max_abs_difference},
                    {"relative", relative},
                    {"same_best", same_best}};
}

PredictionParity prediction_parity(const ModelConfig& config, std::span<const float> outputs,
                                   std::span<const float> others) {
  CHECK(outputs.size() == others.size());
  PredictionParity parity;
  double most = 1;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const double one = static_cast<double>(outputs[i]), other = static_cast<double>(others[i]);
    const double difference = std::abs(one - other);
    // Not a number is as far as can be.
    parity.max_abs_difference =
        difference <= parity.max_abs_difference ? parity.max_abs_difference : difference;
    most = std::max(most, std::abs(one));
  }
  parity.relative = parity.max_abs_difference / most;
  parity.rows = static_cast<int64_t>(outputs.size()) / n_outputs(config);
  if (problem_of(config) == Problem::kNumber || parity.rows == 0) return parity;
  const std::vector<int32_t> one = decided_labels(config, outputs), other = decided_labels(config, others);
  const auto same =
      std::inner_product(one.begin(), one.end(), other.begin(), int64_t{0}, std::plus<>(), std::equal_to<>());
  parity.same_best = static_cast<double>(same) / static_cast<double>(parity.rows);
  return parity;
}

}  // namespace volant
