// What simpler models reach on the same rows: trees on tables, weighted words on texts. An honest report says
// when one of them wins.
#pragma once
#include "eval/bootstrap.h"
#include "eval/report/report.h"
#include "tasks/predictor.h"

namespace volant {

struct BaselineOptions {
  int n_threads = 0;  // 0: all cores
  BootstrapOptions bootstrap = {};
};

// Adds a section "baselines" to `report` (of `predictor` on `test`): for each baseline that fits the task,
// its figures with intervals, and the paired difference to the model's. A baseline that cannot be trained
// here is a note. Pictures have none. Errors: rows without labels or targets, inputs that are none.
Status add_baselines(const Predictor& predictor, std::span<const TaskRow> train,
                     std::span<const TaskRow> test, const BaselineOptions& options, EvalReport& report);

}  // namespace volant
