// The report of a model that predicts classes or numbers, on rows whose truth is known.
#pragma once
#include "eval/report/prediction_report.h"
#include "tasks/predictor.h"

namespace volant {

struct PredictEvalOptions {
  BootstrapOptions bootstrap = {};
};

// Figures as prediction_report.h has them; `title` and `suite` are the caller's to fill in. A row whose label
// the model does not know counts as wrong, and a note says how many there are. kInvalidArgument when a row
// has no label or no target, or its input is none.
Result<EvalReport> evaluate_predictor(Predictor& predictor, std::span<const TaskRow> rows,
                                      const PredictEvalOptions& options = {});

// The same of predictions that somebody made: probabilities [n, labels] of classes, a value a row of numbers.
Result<EvalReport> report_predictions(const Predictor& predictor, std::span<const TaskRow> rows,
                                      std::span<const double> predicted,
                                      const BootstrapOptions& bootstrap = {});

}  // namespace volant
