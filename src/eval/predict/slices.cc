#include "eval/predict/slices.h"

#include <algorithm>
#include <set>

#include "eval/fairness/fairness_report.h"
#include "eval/predict/row_scores.h"

namespace volant {
namespace {

constexpr size_t kMaxSingleNumbers = 10;
constexpr const char* kNone = "(none)";

std::string text_of(const Json* value) {
  if (value == nullptr) return kNone;
  return value->is_string() ? std::string(value->get_string()) : dump_json(*value);
}

Status check_columns(const Predictor& predictor, std::span<const std::string> columns) {
  const Json schema = predictor.encoder().schema();
  if (TRY(json_string_or(schema, "kind", "")) != "table")
    return fail(ErrorCode::kInvalidArgument, "slices: expected a model of tables");
  std::string names;
  std::set<std::string, std::less<>> known;
  for (const Json& field : schema.at("fields").as_array()) {
    known.emplace(field.at("name").as_string());
    names += (names.empty() ? "" : ", ") + std::string(field.at("name").as_string());
  }
  for (const std::string& column : columns)
    if (!known.contains(column))
      return fail(ErrorCode::kInvalidArgument, "slices: there is no column '{}'; expected some of {}", column,
                  names);
  return {};
}

}  // namespace

std::vector<std::string> groups_by(std::span<const TaskRow> rows, const std::string& column) {
  std::vector<double> numbers;
  bool all_numbers = true;
  for (const TaskRow& row : rows) {
    const Json* value = json_find(row.input, column);
    if (value == nullptr) continue;
    all_numbers = all_numbers && value->is_number();
    if (all_numbers) numbers.push_back(value->to_number<double>());
  }
  std::ranges::sort(numbers);
  std::vector<double> distinct = numbers;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  const bool binned = all_numbers && distinct.size() > kMaxSingleNumbers;
  std::set<double> ends;  // the last number of each bin
  if (binned)
    for (size_t quarter = 1; quarter <= 4; ++quarter) ends.insert(numbers[quarter * numbers.size() / 4 - 1]);
  std::vector<std::string> groups;
  for (const TaskRow& row : rows) {
    const Json* value = json_find(row.input, column);
    if (value == nullptr || !binned) {
      groups.push_back(text_of(value));
      continue;
    }
    const auto end = ends.lower_bound(value->to_number<double>());
    const double first =
        end == ends.begin() ? distinct.front() : *std::ranges::upper_bound(distinct, *std::prev(end));
    groups.push_back(first == *end ? fmt::format("{:g}", first) : fmt::format("{:g} to {:g}", first, *end));
  }
  return groups;
}

Status add_slices(Predictor& predictor, std::span<const TaskRow> rows, std::span<const std::string> columns,
                  double threshold, EvalReport& report) {
  TRY(check_columns(predictor, columns));
  std::vector<Json> inputs;
  for (const TaskRow& row : rows) inputs.push_back(row.input);
  std::vector<Prediction> predictions = TRY(predictor.predict(inputs));
  GroupedRows grouped{.score = row_score_name(predictor.problem()),
                      .higher_is_better = predictor.problem() != Problem::kNumber};
  const std::vector<std::string>& labels = predictor.labels();
  if (labels.size() == 2)
    for (size_t i = 0; i < rows.size(); ++i) {
      predictions[i].best = predictions[i].probabilities[1] >= threshold ? 1 : 0;
      grouped.truth.push_back(rows[i].label == labels[1] ? 1 : 0);
      grouped.predicted.push_back(predictions[i].best);
    }
  grouped.scores = TRY(row_scores(predictor, rows, predictions));
  for (const std::string& column : columns) grouped.columns[column] = groups_by(rows, column);
  TRY(add_fairness(grouped, {}, report));
  if (labels.size() == 2)
    report.notes.push_back(
        fmt::format("by group, \"{}\" is the positive decision, said from a probability of "
                    "{:.4g} on",
                    labels[1], threshold));
  return {};
}

}  // namespace volant
