// What fairness.h measures, by columns, as sections of a report; and the report of predictions in a file.
#pragma once
#include "eval/fairness/fairness.h"
#include "eval/report/report.h"
#include "io/file.h"

namespace volant {

struct GroupedRows {
  // Of two classes: 1 for the second. Empty: there is no such decision, rows have scores alone.
  std::vector<int32_t> truth = {}, predicted = {};
  std::vector<double> scores = {};  // of each row
  std::string score = "accuracy";   // what they are
  bool higher_is_better = true;
  std::map<std::string, std::vector<std::string>> columns = {};  // the group of every row
};

// Adds the figures of every group to the groups of `report`, and three sections: "slices", "fairness" (the
// gaps of the score, of the positive share (demographic parity) and of both rates of equalised odds) and
// "worst_slices" of all columns. Errors as in fairness.h.
Status add_fairness(const GroupedRows& rows, const FairnessOptions& options, EvalReport& report);

struct FairnessRequest {
  Path data = {};                                        // JSON Lines, a row a prediction
  std::string truth = "truth", predicted = "predicted";  // fields with 0, 1, true or false
  std::vector<std::string> columns = {};  // fields that people are grouped by; text, numbers or booleans
  FairnessOptions options = {};
};

// Figures: accuracy, and what add_fairness() adds. Errors name file and line.
Result<EvalReport> measure_fairness(const FairnessRequest& request);

}  // namespace volant
