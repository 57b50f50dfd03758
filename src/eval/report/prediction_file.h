// The report of predictions that any program wrote, JSON Lines, a row a prediction ("id" is optional):
//   {"truth": "cat", "probabilities": {"cat": 0.9, "dog": 0.1}}   classes: see classification_report()
//   {"truth": 3.2, "predicted": 3.0}                              numbers: see regression_report()
//   {"relevance": [0, 1], "scores": [0.2, 0.9]}                   ranked lists: see ranking_report()
#pragma once
#include "eval/report/prediction_report.h"
#include "io/file.h"

namespace volant {

// The first row says which kind, and which classes. Errors name file and line.
Result<EvalReport> report_prediction_file(const Path& path, const BootstrapOptions& options = {});

}  // namespace volant
