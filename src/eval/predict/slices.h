// A model by groups of rows: figures by a column's values, gaps between them, and the worst slice of all
// (eval/fairness). Of tables by the columns of the input, of texts by "language" (found out) and "length"
// (characters, cut at their quartiles).
#pragma once
#include "eval/report/report.h"
#include "tasks/predictor.h"

namespace volant {

// The group of every row by a column of its input. Numbers of more than ten different values are cut at their
// quartiles: "30 to 41"; absent: "(none)".
std::vector<std::string> groups_by(std::span<const TaskRow> rows, const std::string& column);

// What the model's rows can be sliced by. kInvalidArgument for pictures, which have no columns.
Result<std::vector<std::string>> slice_columns(const Predictor& predictor);

// The sections of add_fairness() for these columns. Of two labels the second is the positive decision, said
// from `threshold` on; of more labels and of numbers there are scores alone (accuracy, squared error).
// kInvalidArgument for a column that is not one of slice_columns().
Status add_slices(Predictor& predictor, std::span<const TaskRow> rows, std::span<const std::string> columns,
                  double threshold, EvalReport& report);

}  // namespace volant
