// How a model of predictions does on inputs as they come in life (input_changes.h), beside the same inputs as
// they are.
#pragma once
#include "eval/report/report.h"
#include "tasks/predictor.h"

namespace volant {

struct PredictRobustnessOptions {
  size_t max_rows = 500;  // taken evenly
  uint64_t seed = 1;
};

// The section "robustness": for each change accuracy (or squared error) with its interval, and the paired
// difference to the plain inputs with p-values by Holm's correction (McNemar's test of classes, paired
// bootstrap of numbers). A change that changes no row is left out. kInvalidArgument for no rows, rows without
// labels or targets.
Status add_robustness(Predictor& predictor, std::span<const TaskRow> rows,
                      const PredictRobustnessOptions& options, EvalReport& report);

}  // namespace volant
