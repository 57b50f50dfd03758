// What several trainings came to together: the mean of each figure with Student's interval, and a table of
// them.
#pragma once
#include "wheel/predict/trial.h"

namespace volant::predict {

struct TrialsKind {
  std::string key, title, each;  // "folds", "Folds", "fold"
  std::string over;              // "mean over folds"
  double test_per_train = 0;     // above 0: trainings that share rows (eval/significance.h, mean_estimate)
};

// Figures: the mean of every one that all have. Sections "spread" (the intervals of these means) and `key`
// (each training's own figures). kInvalidArgument for fewer than two.
Result<EvalReport> report_trials(std::span<const TrialResult> trials, const TrialsKind& kind);

}  // namespace volant::predict
