// What predictions on rows with known answers are worth: figures with their intervals, and how near the two
// backends are to each other.
#pragma once
#include <span>
#include <vector>

#include "base/json.h"
#include "train/losses.h"
#include "train/objective.h"

namespace volant {

// From the outputs [R, n_outputs] of R rows. Labels: "accuracy", "macro_f1" and, of two, "auc" (of the second
// one). Numbers, in the unit of the targets: "mse", "mae", "r2". Each {"value", "ci95"}.
JsonObject prediction_figures(const ModelConfig& config, std::span<const float> outputs,
                              const LossTargets& targets);

// What each row has to those: 1 where its label is right, or the distance from its number.
RowFigure prediction_by_row(const ModelConfig& config, std::span<const float> outputs,
                            const LossTargets& targets);

// The label of each row: the best one, of one score the second one where it is above 0. Not for numbers.
std::vector<int32_t> decided_labels(const ModelConfig& config, std::span<const float> outputs);

// Of the same R rows on two backends.
struct PredictionParity {
  int64_t rows = 0;
  double max_abs_difference = 0;
  double relative = 0;   // that, by the largest output or 1
  double same_best = 1;  // share of the rows; of numbers 1
  Json to_json() const;
};
PredictionParity prediction_parity(const ModelConfig& config, std::span<const float> outputs,
                                   std::span<const float> others);

}  // namespace volant
