// What [evaluate] of a workspace of predictions asks for, done.
#pragma once
#include <optional>

#include "eval/report/report.h"
#include "tasks/predictor.h"
#include "wheel/predict/evaluate_section.h"
#include "wheel/workspace.h"

namespace volant::predict {

// The sections that [evaluate] asks for, on the test rows of `rows` (the folder that prepare made).
Status add_sections(const Workspace& workspace, const Path& model, const Path& rows, EvalReport& report);
// The threshold that [evaluate] cost chooses on the validation rows; nothing without one.
Result<std::optional<double>> chosen_threshold(const Workspace& workspace, Predictor& predictor,
                                               const Path& rows);

}  // namespace volant::predict
