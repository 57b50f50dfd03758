// Which columns of a table a model goes by (permutation importance, Breiman 2001): how much worse it does
// when the values of a column are dealt to the rows anew. Says what the model uses, not what causes the
// answer; of two columns that say the same, each may look unimportant.
#pragma once
#include "eval/report/report.h"
#include "tasks/predictor.h"

namespace volant {

struct ImportanceOptions {
  int repeats = 5;         // shuffles of each column, at least 1
  size_t max_rows = 2000;  // taken evenly
  uint64_t seed = 1;
};

struct ColumnImportance {
  std::string column;
  // How much worse: the drop of accuracy, or the rise of the mean squared error, over repeats, with its
  // interval over rows.
  Estimate worse;
};

// The most important first. Of a table's features alone. kInvalidArgument for no rows, rows without labels or
// targets, or inputs that are none.
Result<std::vector<ColumnImportance>> column_importance(Predictor& predictor, std::span<const TaskRow> rows,
                                                        const ImportanceOptions& options = {});
// As the section "importance"; nothing for pictures and texts.
Status add_importance(Predictor& predictor, std::span<const TaskRow> rows, const ImportanceOptions& options,
                      EvalReport& report);

}  // namespace volant
