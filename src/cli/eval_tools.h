// `volant eval compare`, `contamination`, `judge`, `fairness` and `predictions`: what belongs to an
// evaluation beside running one.
#pragma once
#include "cli/commands.h"
#include "eval/report/report.h"

namespace volant::cli {

// Figures in all and by group (unless `groups` is false: a section has them), further sections, notes.
void print_eval_report(const EvalReport& report, bool groups = true);
void add_eval_tools(CLI::App& eval, Action& action);

}  // namespace volant::cli
