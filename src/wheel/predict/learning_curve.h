// The learning curve of a workspace's model: trained on shares of its training rows, each share part of the
// next one, scored on its test rows.
#pragma once
#include "wheel/predict/trial.h"

namespace volant::predict {

struct LearningCurveOptions {
  std::vector<double> shares = {0.1, 0.25, 0.5, 1};  // above 0, at most 1; two or more
  uint64_t seed = 1;                                 // of the choice of rows
  TrialOptions trials = {};
};

// Figures are those of the largest share, the sections of eval/learning_curve.h.
Result<EvalReport> learning_curve(Workspace& workspace, const LearningCurveOptions& options);

}  // namespace volant::predict
