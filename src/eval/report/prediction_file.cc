#include "eval/report/prediction_file.h"

#include <algorithm>

#include "eval/report/ranking_report.h"
#include "io/jsonl.h"

namespace volant {
namespace {

constexpr size_t kMaxRows = 10'000'000;

struct Predictions {
  std::vector<std::string> classes = {}, ids = {};
  std::vector<int32_t> labels = {};
  std::vector<double> probabilities = {};
  std::vector<double> truth = {}, predicted = {};
  std::vector<RankedQuery> queries = {};
};

std::string text_of(const Json& value) {
  return value.is_string() ? std::string(value.get_string()) : dump_json(value);
}

Status read_classes(const Json& row, const Json& probabilities, Predictions& all) {
  if (!probabilities.is_object())
    return fail(ErrorCode::kParse, "expected \"probabilities\" to be an object of classes and numbers");
  const JsonObject& by_class = probabilities.get_object();
  if (all.classes.empty()) {
    for (const auto& [name, value] : by_class) all.classes.emplace_back(name);
    std::ranges::sort(all.classes);
  }
  if (by_class.size() != all.classes.size())
    return fail(ErrorCode::kParse, "expected {} classes in \"probabilities\" as in the first row, got {}",
                all.classes.size(), by_class.size());
  for (const std::string& name : all.classes)
    all.probabilities.push_back(TRY(json_number(probabilities, name)));
  const Json* truth = json_find(row, "truth");
  const std::string name = truth == nullptr ? "" : text_of(*truth);
  const auto found = std::ranges::lower_bound(all.classes, name);
  if (found == all.classes.end() || *found != name)
    return fail(ErrorCode::kParse, "expected \"truth\" to be one of the classes, got '{}'", name);
  all.labels.push_back(static_cast<int32_t>(found - all.classes.begin()));
  return {};
}

Result<std::vector<double>> numbers_at(const Json& row, const char* key) {
  const Json* list = json_find(row, key);
  std::vector<double> numbers;
  if (list == nullptr || !list->is_array())
    return fail(ErrorCode::kParse, "expected \"{}\" to be a list of numbers", key);
  for (const Json& each : list->get_array()) {
    if (!each.is_number()) return fail(ErrorCode::kParse, "expected \"{}\" to be a list of numbers", key);
    numbers.push_back(each.to_number<double>());
  }
  return numbers;
}

Status read_row(const Json& row, Predictions& all) {
  const Json* id = json_find(row, "id");
  all.ids.push_back(id == nullptr ? std::to_string(all.ids.size()) : text_of(*id));
  const Json* probabilities = json_find(row, "probabilities");
  const bool is_query = json_find(row, "relevance") != nullptr;
  if (is_query && all.queries.size() + 1 == all.ids.size()) {
    all.queries.push_back(
        {all.ids.back(), TRY(numbers_at(row, "relevance")), TRY(numbers_at(row, "scores"))});
    return {};
  }
  const bool of_classes = all.ids.size() == 1 ? probabilities != nullptr : !all.classes.empty();
  if (of_classes && probabilities != nullptr) return read_classes(row, *probabilities, all);
  if (of_classes || probabilities != nullptr || is_query || !all.queries.empty())
    return fail(ErrorCode::kParse,
                "expected rows of one kind: all with \"probabilities\", all with \"predicted\", or all with "
                "\"relevance\"");
  all.truth.push_back(TRY(json_number(row, "truth")));
  all.predicted.push_back(TRY(json_number(row, "predicted")));
  return {};
}

}  // namespace

Result<EvalReport> report_prediction_file(const Path& path, const BootstrapOptions& options) {
  JsonlReader reader = TRY(JsonlReader::open(path));
  Predictions all;
  while (const auto row = TRY(reader.next())) {
    Status read = read_row(*row, all);
    if (!read) return std::move(read).error().at(fmt::format("{}:{}", path.string(), reader.line()));
    if (all.ids.size() > kMaxRows)
      return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows).at(path.string());
  }
  Result<EvalReport> report = !all.queries.empty() ? ranking_report(all.queries, options)
                              : all.classes.empty()
                                  ? regression_report(all.truth, all.predicted, all.ids, options)
                                  : classification_report({.truth = all.labels,
                                                           .probabilities = all.probabilities,
                                                           .classes = all.classes,
                                                           .ids = all.ids},
                                                          options);
  if (!report) return std::move(report).error().at(path.string());
  report->title = path.filename().string();
  return report;
}

}  // namespace volant
