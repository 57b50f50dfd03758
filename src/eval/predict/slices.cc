#include "eval/predict/slices.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "eval/fairness/fairness_report.h"
#include "eval/predict/row_scores.h"
#include "text/language.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxSingleNumbers = 10;
constexpr const char *kNone = "(none)", *kTable = "table", *kText = "text", *kLanguage = "language",
                     *kLength = "length";
constexpr double kMinConfidence = 0.5;  // a wrong group in the report is worse than none

std::string text_of(const Json& value) {
  if (value.is_null()) return kNone;
  return value.is_string() ? std::string(value.get_string()) : dump_json(value);
}

Status check_columns(const Predictor& predictor, std::span<const std::string> columns) {
  const std::vector<std::string> known = TRY(slice_columns(predictor));
  for (const std::string& column : columns)
    if (std::ranges::find(known, column) == known.end())
      return fail(ErrorCode::kInvalidArgument, "slices: there is no column '{}'; expected some of {}", column,
                  fmt::join(known, ", "));
  return {};
}

// Numbers of more than ten different values as the quartile they are in; null is none.
std::vector<std::string> groups_of(std::span<const Json> values) {
  std::vector<double> numbers;
  bool all_numbers = true;
  for (const Json& value : values) {
    if (value.is_null()) continue;
    all_numbers = all_numbers && value.is_number();
    if (all_numbers) numbers.push_back(value.to_number<double>());
  }
  std::ranges::sort(numbers);
  std::vector<double> distinct = numbers;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  const bool binned = all_numbers && distinct.size() > kMaxSingleNumbers;
  std::set<double> ends;  // the last number of each bin
  if (binned)
    for (size_t quarter = 1; quarter <= 4; ++quarter) ends.insert(numbers[quarter * numbers.size() / 4 - 1]);
  std::vector<std::string> groups;
  for (const Json& value : values) {
    if (value.is_null() || !binned) {
      groups.push_back(text_of(value));
      continue;
    }
    const auto end = ends.lower_bound(value.to_number<double>());
    const double first =
        end == ends.begin() ? distinct.front() : *std::ranges::upper_bound(distinct, *std::prev(end));
    groups.push_back(first == *end ? fmt::format("{:g}", first) : fmt::format("{:g} to {:g}", first, *end));
  }
  return groups;
}

// "language" or "length" of a text and its pair.
Result<Json> fact_of_text(const TaskRow& row, const std::string& fact) {
  std::string text = TRY(json_string_or(row.input, "text", ""));
  const std::string pair = TRY(json_string_or(row.input, "text_pair", ""));
  if (!pair.empty()) text += "\n" + pair;
  if (fact == kLength) return Json(to_code_points(text).size());
  const Language language = identify_language(text);
  const bool sure = language.code != "und" && language.confidence > kMinConfidence;
  return sure ? Json(language.code) : Json();
}

}  // namespace

std::vector<std::string> groups_by(std::span<const TaskRow> rows, const std::string& column) {
  std::vector<Json> values;
  for (const TaskRow& row : rows) {
    const Json* value = json_find(row.input, column);
    values.push_back(value == nullptr ? Json() : *value);
  }
  return groups_of(values);
}

Result<std::vector<std::string>> slice_columns(const Predictor& predictor) {
  const Json schema = predictor.encoder().schema();
  const std::string kind = TRY(json_string_or(schema, "kind", ""));
  if (kind == kText) return std::vector<std::string>{kLanguage, kLength};
  if (kind != kTable)
    return fail(ErrorCode::kInvalidArgument,
                "slices: expected a model of tables or texts, got one of kind '{}'", kind);
  std::vector<std::string> columns;
  for (const Json& field : schema.at("fields").as_array()) columns.emplace_back(field.at("name").as_string());
  return columns;
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
  const bool of_text = TRY(json_string_or(predictor.encoder().schema(), "kind", "")) == kText;
  for (const std::string& column : columns) {
    std::vector<Json> facts;  // of texts
    if (of_text)
      for (const TaskRow& row : rows) facts.push_back(TRY(fact_of_text(row, column)));
    grouped.columns[column] = of_text ? groups_of(facts) : groups_by(rows, column);
  }
  TRY(add_fairness(grouped, {}, report));
  if (labels.size() == 2)
    report.notes.push_back(
        fmt::format("by group, \"{}\" is the positive decision, said from a probability of "
                    "{:.4g} on",
                    labels[1], threshold));
  return {};
}

}  // namespace volant
