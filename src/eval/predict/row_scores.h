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
// Mean with its interval: Wilson's where every score is 0 or 1, else by bootstrap over rows.
Estimate mean_over_rows(const std::vector<double>& scores, uint64_t seed = 1);
// Mean of second - first, row by row: Bonett and Price's interval where every score is 0 or 1
// (significance.h), else by bootstrap.
Estimate mean_difference(const std::vector<double>& first, const std::vector<double>& second,
                         uint64_t seed = 1);
// At most `most` of the rows, taken evenly.
std::vector<TaskRow> taken_evenly(std::span<const TaskRow> rows, size_t most);

}  // namespace volant
