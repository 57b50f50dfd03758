// How a model of predictions does on inputs that are moved against it (gradient_attack.h): FGSM and PGD.
#pragma once
#include <string>
#include <vector>

#include "eval/report/report.h"
#include "tasks/predictor.h"

namespace volant {

struct AttackOptions {
  std::vector<double> epsilons = {0.02, 0.05, 0.1, 0.2};  // in the unit of attack_unit()
  int64_t rows = 200;                                     // at most, taken evenly
  int64_t steps = 10;                                     // of PGD
};

// The section "attacks": accuracy (or squared error) of plain inputs, of FGSM and of PGD for each epsilon
// with intervals, and the paired difference of PGD to plain ones. `folder`: of the predictor's model. A model
// without gradients by its inputs gets a note instead. kInvalidArgument for no rows, rows without labels or
// targets.
Status add_attacks(const Predictor& predictor, const Path& folder, std::span<const TaskRow> rows,
                   const AttackOptions& options, EvalReport& report);

}  // namespace volant
