// What a model of predictions scores on each row, for figures that compare it with itself on changed inputs.
#pragma once
#include "eval/statistics.h"
#include "tasks/predictor.h"

namespace volant {

// Of classes "accuracy": 1 for the right label, 0 for another one. Of numbers "mean_squared_error": the
// square of how far it was off.
const char* row_score_name(Problem problem);
// kInvalidArgument when a row has no label or target, or there are other numbers of rows.
Result<std::vector<double>> row_scores(const Predictor& predictor, std::span<const TaskRow> rows,
                                       std::span<const Prediction> predictions);
// Of these inputs instead of the rows' own.
Result<std::vector<double>> row_scores(Predictor& predictor, std::span<const TaskRow> rows,
                                       std::span<const EncodedInput> inputs);
// Mean with its interval by bootstrap over rows.
Estimate mean_over_rows(const std::vector<double>& scores, uint64_t seed = 1);
// second - first, row by row.
std::vector<double> differences(std::span<const double> first, std::span<const double> second);
// At most `most` of the rows, taken evenly.
std::vector<TaskRow> taken_evenly(std::span<const TaskRow> rows, size_t most);

}  // namespace volant
