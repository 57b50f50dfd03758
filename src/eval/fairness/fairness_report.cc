#include "eval/fairness/fairness_report.h"

#include <algorithm>

#include "base/clock.h"
#include "eval/report/html.h"
#include "eval/significance.h"
#include "io/jsonl.h"

namespace volant {
namespace {

constexpr size_t kShownSlices = 20;
constexpr size_t kMaxRows = 10'000'000;

struct Predictions {
  std::vector<int32_t> truth, predicted;
  std::vector<double> correct;
  std::map<std::string, std::vector<std::string>> columns;
};

Result<int32_t> flag_at(const Json& row, const std::string& key) {
  const Json* value = json_find(row, key);
  if (value != nullptr && value->is_bool()) return value->get_bool() ? 1 : 0;
  if (value != nullptr && value->is_int64() && (value->get_int64() == 0 || value->get_int64() == 1))
    return static_cast<int32_t>(value->get_int64());
  return fail(ErrorCode::kParse, "expected \"{}\" to be 0, 1, true or false", key);
}

Status read_row(const Json& row, const FairnessRequest& request, Predictions& rows) {
  rows.truth.push_back(TRY(flag_at(row, request.truth)));
  rows.predicted.push_back(TRY(flag_at(row, request.predicted)));
  rows.correct.push_back(rows.truth.back() == rows.predicted.back() ? 1 : 0);
  for (const std::string& column : request.columns) {
    const Json* value = json_find(row, column);
    if (value != nullptr && (value->is_object() || value->is_array()))
      return fail(ErrorCode::kParse, "expected \"{}\" to be a text, a number or a boolean", column);
    std::string text = "(none)";
    if (value != nullptr) text = value->is_string() ? std::string(value->get_string()) : dump_json(*value);
    rows.columns[column].push_back(std::move(text));
  }
  return {};
}

Result<Predictions> read_predictions(const FairnessRequest& request) {
  JsonlReader reader = TRY(JsonlReader::open(request.data));
  Predictions rows;
  while (const auto row = TRY(reader.next())) {
    Status read = read_row(*row, request, rows);
    if (!read) return std::move(read).error().at(fmt::format("{}:{}", request.data.string(), reader.line()));
    if (rows.truth.size() > kMaxRows)
      return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows).at(request.data.string());
  }
  if (rows.truth.empty())
    return fail(ErrorCode::kInvalidArgument, "expected at least one row, found none")
        .at(request.data.string());
  return rows;
}

void add_gap(const std::string& column, const char* what, const Gap& gap, EvalReport& report,
             JsonObject& json, ReportSection& section) {
  json[what] = to_json(gap);
  const auto group = [&](const std::string& name) {
    const auto found = std::ranges::find(report.groups, column + " = " + name, &FigureGroup::name);
    return found == report.groups.end()
               ? &report.groups.emplace_back(FigureGroup{.name = column + " = " + name})
               : &*found;
  };
  for (const GroupFigure& figure : gap.groups) {
    FigureGroup* of_group = group(figure.group);
    of_group->rows = std::max(of_group->rows, figure.rows);
    of_group->figures.push_back({what, figure.estimate});
  }
  if (!gap.compared) {
    section.rows.push_back({column, figure_title(what), "-", "-", "too few rows to compare"});
    return;
  }
  const NumberStyle style{1, 100, " %"};
  section.rows.push_back({column, figure_title(what), format_number(gap.difference.value, style),
                          format_interval(gap.difference, style), gap.highest + " above " + gap.lowest});
}

Result<ReportSection> worst_section(const Predictions& rows, const FairnessOptions& options) {
  std::vector<Slice> slices = TRY(worst_slices(rows.correct, rows.columns, options));
  if (slices.size() > kShownSlices) slices.resize(kShownSlices);
  ReportSection section{.key = "worst_slices", .title = "Slices with the lowest accuracy"};
  section.heading = {"slice", "rows", "accuracy", "95 %", "all others", "p, corrected"};
  JsonArray list;
  const NumberStyle style{1, 100, " %"};
  for (const Slice& slice : slices) {
    list.push_back(to_json(slice));
    section.rows.push_back({slice.name, std::to_string(slice.rows), format_number(slice.score.value, style),
                            format_interval(slice.score, style), format_number(slice.rest, style),
                            fmt::format("{:.3f}", slice.adjusted_p)});
  }
  section.json["slices"] = std::move(list);
  return section;
}

}  // namespace

Result<EvalReport> measure_fairness(const FairnessRequest& request) {
  if (request.columns.empty())
    return fail(ErrorCode::kInvalidArgument, "expected at least one column to group rows by");
  const Predictions rows = TRY(read_predictions(request));
  EvalReport report{.title = "Fairness of " + request.data.filename().string(), .created_at = now_iso8601()};
  report.rows = static_cast<int64_t>(rows.truth.size());
  const auto right = static_cast<int64_t>(std::ranges::count(rows.correct, 1.0));
  report.figures.push_back({"accuracy", TRY(share_estimate(right, report.rows))});
  ReportSection section{.key = "fairness", .title = "Gaps between groups"};
  section.heading = {"column", "figure", "gap", "95 %", "between"};
  for (const auto& [column, groups] : rows.columns) {
    JsonObject json;
    add_gap(column, "accuracy", TRY(score_by_group(rows.correct, groups, request.options)), report, json,
            section);
    add_gap(column, "positive_share", TRY(demographic_parity(rows.predicted, groups, request.options)),
            report, json, section);
    const EqualisedOdds odds = TRY(equalised_odds(rows.truth, rows.predicted, groups, request.options));
    add_gap(column, "true_positive_rate", odds.true_positive_rate, report, json, section);
    add_gap(column, "false_positive_rate", odds.false_positive_rate, report, json, section);
    section.json[column] = std::move(json);
  }
  report.sections.push_back(std::move(section));
  report.sections.push_back(TRY(worst_section(rows, request.options)));
  report.settings = {{"min_rows", request.options.min_rows}, {"seed", request.options.seed}};
  return report;
}

}  // namespace volant
