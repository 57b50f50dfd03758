#include "eval/predict/evaluate.h"

#include <algorithm>

namespace volant {
namespace {

std::vector<std::string> ids_of(std::span<const TaskRow> rows) {
  std::vector<std::string> ids;
  ids.reserve(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) ids.push_back(rows[i].id.empty() ? std::to_string(i) : rows[i].id);
  return ids;
}

Result<EvalReport> report_of_classes(const std::vector<std::string>& labels, std::span<const TaskRow> rows,
                                     std::span<const double> predicted, const BootstrapOptions& bootstrap) {
  std::vector<std::string> classes = labels;
  std::vector<int32_t> truth;
  int64_t n_unknown = 0;
  for (const TaskRow& row : rows) {
    if (row.label.empty()) return fail(ErrorCode::kInvalidArgument, "row '{}' has no label", row.id);
    auto found = std::ranges::find(classes, row.label);
    if (found == classes.end()) {  // the model gives it no probability at all
      classes.push_back(row.label);
      found = classes.end() - 1;
    }
    if (std::cmp_greater_equal(found - classes.begin(), labels.size())) ++n_unknown;
    truth.push_back(static_cast<int32_t>(found - classes.begin()));
  }
  std::vector<double> probabilities;
  probabilities.reserve(rows.size() * classes.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = predicted.subspan(i * labels.size(), labels.size());
    probabilities.insert(probabilities.end(), row.begin(), row.end());
    probabilities.resize(probabilities.size() + classes.size() - labels.size());
  }
  EvalReport report = TRY(classification_report(
      {.truth = truth, .probabilities = probabilities, .classes = classes, .ids = ids_of(rows)}, bootstrap));
  if (n_unknown > 0)
    report.notes.push_back(fmt::format("{} rows have a label that was not in the training data", n_unknown));
  return report;
}

}  // namespace

Result<EvalReport> report_predictions(const Predictor& predictor, std::span<const TaskRow> rows,
                                      std::span<const double> predicted, const BootstrapOptions& bootstrap) {
  const size_t columns = predictor.problem() == Problem::kNumber ? 1 : predictor.labels().size();
  if (predicted.size() != rows.size() * columns)
    return fail(ErrorCode::kInvalidArgument, "expected {} numbers for each of {} rows, got {} in all",
                columns, rows.size(), predicted.size());
  if (predictor.problem() != Problem::kNumber)
    return report_of_classes(predictor.labels(), rows, predicted, bootstrap);
  std::vector<double> truth;
  for (const TaskRow& row : rows) {
    if (!row.target) return fail(ErrorCode::kInvalidArgument, "row '{}' has no target", row.id);
    truth.push_back(*row.target);
  }
  return regression_report(truth, predicted, ids_of(rows), bootstrap);
}

Result<EvalReport> evaluate_predictor(Predictor& predictor, std::span<const TaskRow> rows,
                                      const PredictEvalOptions& options) {
  std::vector<Json> inputs;
  inputs.reserve(rows.size());
  for (const TaskRow& row : rows) inputs.push_back(row.input);
  std::vector<double> predicted;
  for (const Prediction& each : TRY(predictor.predict(inputs))) {
    if (predictor.problem() == Problem::kNumber) predicted.push_back(each.value);
    predicted.insert(predicted.end(), each.probabilities.begin(), each.probabilities.end());
  }
  return report_predictions(predictor, rows, predicted, options.bootstrap);
}

}  // namespace volant
