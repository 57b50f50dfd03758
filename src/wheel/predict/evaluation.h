// [evaluate] of a workspace of predictions: which sections its report has besides the figures.
#pragma once
#include <optional>

#include "eval/predict/decision_cost.h"
#include "wheel/workspace.h"

namespace volant::predict {

struct Evaluation {
  bool baselines = true;             // simpler models beside it
  bool importance = true;            // columns of tables
  bool robustness = false;           // changed inputs; takes as long as some thousands of predictions
  std::optional<DecisionCost> cost;  // {false_positive = 1, false_negative = 5}: chooses the threshold
  std::vector<std::string> slices;   // columns of a table
};

// kInvalidArgument names the key: unknown, out of range, or not for this kind or problem.
Result<Evaluation> read_evaluation(const PredictSection& section);

// The sections that [evaluate] asks for, on the test rows of `rows` (the folder that prepare made).
Status add_sections(const Workspace& workspace, const Path& model, const Path& rows, EvalReport& report);
// The threshold that [evaluate] cost chooses on the validation rows; nothing without one.
Result<std::optional<double>> chosen_threshold(const Workspace& workspace, Predictor& predictor,
                                               const Path& rows);

}  // namespace volant::predict
