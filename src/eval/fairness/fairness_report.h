// The fairness of predictions in a file: what fairness.h measures, for columns of it, as one report.
#pragma once
#include "eval/fairness/fairness.h"
#include "eval/report/report.h"
#include "io/file.h"

namespace volant {

struct FairnessRequest {
  Path data = {};                                        // JSON Lines, a row a prediction
  std::string truth = "truth", predicted = "predicted";  // fields with 0, 1, true or false
  std::vector<std::string> columns = {};  // fields that people are grouped by; text, numbers or booleans
  FairnessOptions options = {};
};

// Figures: accuracy, and for each column the gaps of accuracy, of the positive share (demographic parity) and
// of both rates of equalised odds; a section with the worst slices of all columns. Errors name file and line.
Result<EvalReport> measure_fairness(const FairnessRequest& request);

}  // namespace volant
