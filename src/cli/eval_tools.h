// `volant eval compare`, `contamination`, `judge` and `fairness`: what belongs to an evaluation beside
// running one.
#pragma once
#include "cli/commands.h"

namespace volant::cli {

void add_eval_tools(CLI::App& eval, Action& action);

}  // namespace volant::cli
