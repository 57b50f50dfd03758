#include "eval/predict/row_scores.h"

#include <algorithm>

#include "base/check.h"
#include "eval/significance.h"

namespace volant {
namespace {

constexpr int kSamples = 1000;

bool right_or_wrong(std::span<const double> scores) {
  return std::ranges::all_of(scores, [](double s) { return s == 0 || s == 1; });
}

Estimate bootstrapped(const std::vector<double>& values, uint64_t seed) {
  return bootstrap_ratio(values, std::vector<double>(values.size(), 1.0), kSamples, seed);
}

}  // namespace

const char* row_score_name(Problem problem) {
  return problem == Problem::kNumber ? "mean_squared_error" : "accuracy";
}

Result<std::vector<double>> row_scores(const Predictor& predictor, std::span<const TaskRow> rows,
                                       std::span<const Prediction> predictions) {
  if (rows.size() != predictions.size())
    return fail(ErrorCode::kInvalidArgument, "expected a prediction for each of {} rows, got {}", rows.size(),
                predictions.size());
  std::vector<double> scores;
  scores.reserve(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (predictor.problem() == Problem::kNumber) {
      if (!rows[i].target) return fail(ErrorCode::kInvalidArgument, "row '{}' has no target", rows[i].id);
      const double off = predictions[i].value - *rows[i].target;
      scores.push_back(off * off);
      continue;
    }
    if (rows[i].label.empty()) return fail(ErrorCode::kInvalidArgument, "row '{}' has no label", rows[i].id);
    const std::string& said = predictor.labels()[static_cast<size_t>(predictions[i].best)];
    scores.push_back(said == rows[i].label ? 1 : 0);
  }
  return scores;
}

Result<std::vector<double>> row_scores(Predictor& predictor, std::span<const TaskRow> rows,
                                       std::span<const EncodedInput> inputs) {
  return row_scores(predictor, rows, TRY(predictor.predict_encoded(inputs)));
}

Estimate mean_over_rows(const std::vector<double>& scores, uint64_t seed) {
  if (!scores.empty() && right_or_wrong(scores))
    return share_estimate(std::ranges::count(scores, 1.0), std::ssize(scores)).value();
  return bootstrapped(scores, seed);
}

Estimate mean_difference(const std::vector<double>& first, const std::vector<double>& second, uint64_t seed) {
  CHECK(first.size() == second.size());
  if (!first.empty() && right_or_wrong(first) && right_or_wrong(second)) {
    const std::vector<int32_t> a(first.begin(), first.end()), b(second.begin(), second.end());
    return paired_share_difference(a, b).value();
  }
  std::vector<double> differences(first.size());
  for (size_t i = 0; i < differences.size(); ++i) differences[i] = second[i] - first[i];
  return bootstrapped(differences, seed);
}

std::vector<TaskRow> taken_evenly(std::span<const TaskRow> rows, size_t most) {
  const size_t n = std::min(rows.size(), most);
  std::vector<TaskRow> taken;
  taken.reserve(n);
  for (size_t i = 0; i < n; ++i) taken.push_back(rows[i * rows.size() / n]);
  return taken;
}

}  // namespace volant
