// A workspace's model trained several times on the same rows with other seeds: how much of a figure is the
// luck of one training.
#pragma once
#include "wheel/predict/trial.h"

namespace volant::predict {

struct SeedOptions {
  int n = 5;          // 2 to 1000 trainings
  uint64_t seed = 1;  // of the first; the others follow
  TrialOptions trials = {};
};

// All learn from the training rows, choose by the validation rows and are judged on the test rows. Figures:
// means over the trainings with Student's interval; sections "spread" and "seeds".
Result<EvalReport> repeat_seeds(Workspace& workspace, const SeedOptions& options);

}  // namespace volant::predict
