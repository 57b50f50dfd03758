// [evaluate] of a workspace of predictions: which sections its report has besides the figures.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "eval/predict/attacks.h"
#include "eval/predict/decision_cost.h"
#include "wheel/config.h"

namespace volant::predict {

struct Evaluation {
  bool baselines = true;                 // simpler models beside it
  bool importance = true;                // columns of tables
  bool robustness = false;               // changed inputs; takes as long as some thousands of predictions
  std::optional<AttackOptions> attacks;  // {epsilons = [0.1], rows = 200, steps = 10}, or true for these
  std::optional<DecisionCost> cost;      // {false_positive = 1, false_negative = 5}: chooses the threshold
  std::vector<std::string> slices;       // columns of a table; "language", "length" of texts
  bool all_slices = false;               // all that there are
  int64_t nearest = 0;                   // training examples kept beside the served model; 0: none
};

// kInvalidArgument names the key: unknown, out of range, or not for this kind or problem.
Result<Evaluation> read_evaluation(const PredictSection& section);

}  // namespace volant::predict
