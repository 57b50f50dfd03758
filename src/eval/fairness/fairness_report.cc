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

Result<int32_t> flag_at(const Json& row, const std::string& key) {
  const Json* value = json_find(row, key);
  if (value != nullptr && value->is_bool()) return value->get_bool() ? 1 : 0;
  if (value != nullptr && value->is_int64() && (value->get_int64() == 0 || value->get_int64() == 1))
    return static_cast<int32_t>(value->get_int64());
  return fail(ErrorCode::kParse, "expected \"{}\" to be 0, 1, true or false", key);
}

Status read_row(const Json& row, const FairnessRequest& request, GroupedRows& rows) {
  rows.truth.push_back(TRY(flag_at(row, request.truth)));
  rows.predicted.push_back(TRY(flag_at(row, request.predicted)));
  rows.scores.push_back(rows.truth.back() == rows.predicted.back() ? 1 : 0);
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

Result<GroupedRows> read_predictions(const FairnessRequest& request) {
  JsonlReader reader = TRY(JsonlReader::open(request.data));
  GroupedRows rows;
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

std::string lower_case_title(std::string name) {
  std::ranges::replace(name, '_', ' ');
  return name;
}

NumberStyle style_of(const std::string& figure, bool is_share) {
  return is_share ? NumberStyle{1, 100, " %"} : style_of_figure({figure, {}, false});
}

void add_groups(const std::string& column, const std::string& what, bool higher_is_better, const Gap& gap,
                EvalReport& report) {
  for (const GroupFigure& figure : gap.groups) {
    const std::string name = column + " = " + figure.group;
    auto found = std::ranges::find(report.groups, name, &FigureGroup::name);
    if (found == report.groups.end()) {
      report.groups.push_back({.name = name});
      found = report.groups.end() - 1;
    }
    found->rows = std::max(found->rows, figure.rows);
    found->figures.push_back({what, figure.estimate, higher_is_better});
  }
}

void add_gap(const std::string& column, const std::string& what, const NumberStyle& style, const Gap& gap,
             ReportSection& section) {
  if (!gap.compared) {
    section.rows.push_back({column, figure_title(what), "-", "-", "too few rows to compare"});
    return;
  }
  section.rows.push_back({column, figure_title(what), format_number(gap.difference.value, style),
                          format_interval(gap.difference, style), gap.highest + " above " + gap.lowest});
}

// A row for each group and a column for each figure.
void add_slices(const std::string& column, const std::vector<std::pair<std::string, Gap>>& gaps,
                const std::vector<NumberStyle>& styles, ReportSection& section) {
  for (const GroupFigure& group : gaps[0].second.groups) {
    std::vector<std::string> cells{column + " = " + group.group, std::to_string(group.rows)};
    for (size_t i = 0; i < gaps.size(); ++i) {
      const auto found = std::ranges::find(gaps[i].second.groups, group.group, &GroupFigure::group);
      cells.push_back(found == gaps[i].second.groups.end()
                          ? "-"
                          : fmt::format("{} ({})", format_number(found->estimate.value, styles[i]),
                                        format_interval(found->estimate, styles[i])));
    }
    section.rows.push_back(std::move(cells));
  }
}

Result<ReportSection> worst_section(const GroupedRows& rows, const FairnessOptions& options) {
  // An error is turned round to look for the worst, and back to be shown.
  const double sign = rows.higher_is_better ? 1 : -1;
  std::vector<double> scores = rows.scores;
  for (double& score : scores) score *= sign;
  std::vector<Slice> slices = TRY(worst_slices(scores, rows.columns, options));
  if (slices.size() > kShownSlices) slices.resize(kShownSlices);
  const std::string name = lower_case_title(rows.score);
  ReportSection section{
      .key = "worst_slices",
      .title = fmt::format("Slices with the {} {}", rows.higher_is_better ? "lowest" : "highest", name)};
  section.heading = {"slice", "rows", name, "95 %", "all others", "p, corrected"};
  JsonArray list;
  const NumberStyle style = style_of(rows.score, rows.higher_is_better);
  for (Slice& slice : slices) {
    slice.rest *= sign;
    const Estimate score = slice.score;
    slice.score = {sign * score.value, std::min(sign * score.low, sign * score.high),
                   std::max(sign * score.low, sign * score.high)};
    list.push_back(to_json(slice));
    section.rows.push_back({slice.name, std::to_string(slice.rows), format_number(slice.score.value, style),
                            format_interval(slice.score, style), format_number(slice.rest, style),
                            fmt::format("{:.3f}", slice.adjusted_p)});
  }
  section.json["of"] = rows.score;
  section.json["slices"] = std::move(list);
  return section;
}

}  // namespace

Status add_fairness(const GroupedRows& rows, const FairnessOptions& options, EvalReport& report) {
  const bool decided = !rows.truth.empty();
  ReportSection section{.key = "fairness", .title = "Gaps between groups"};
  section.heading = {"column", "figure", "gap", "95 %", "between"};
  ReportSection slices{.key = "slices", .title = "By group", .heading = {"group", "rows"}};
  for (const auto& [column, groups] : rows.columns) {
    std::vector<std::pair<std::string, Gap>> gaps{
        {rows.score, TRY(score_by_group(rows.scores, groups, options))}};
    if (decided) {
      EqualisedOdds odds = TRY(equalised_odds(rows.truth, rows.predicted, groups, options));
      gaps.emplace_back("positive_share", TRY(demographic_parity(rows.predicted, groups, options)));
      gaps.emplace_back("true_positive_rate", std::move(odds.true_positive_rate));
      gaps.emplace_back("false_positive_rate", std::move(odds.false_positive_rate));
    }
    JsonObject json;
    std::vector<NumberStyle> styles;
    for (const auto& [what, gap] : gaps) {
      const bool is_score = what == rows.score;
      styles.push_back(style_of(what, !is_score || rows.higher_is_better));
      if (slices.heading.size() < gaps.size() + 2) slices.heading.push_back(lower_case_title(what));
      json[what] = to_json(gap);
      add_groups(column, what, !is_score || rows.higher_is_better, gap, report);
      add_gap(column, what, styles.back(), gap, section);
    }
    add_slices(column, gaps, styles, slices);
    section.json[column] = std::move(json);
  }
  report.sections.push_back(std::move(slices));
  report.sections.push_back(std::move(section));
  report.sections.push_back(TRY(worst_section(rows, options)));
  return {};
}

Result<EvalReport> measure_fairness(const FairnessRequest& request) {
  if (request.columns.empty())
    return fail(ErrorCode::kInvalidArgument, "expected at least one column to group rows by");
  const GroupedRows rows = TRY(read_predictions(request));
  EvalReport report{.title = "Fairness of " + request.data.filename().string(), .created_at = now_iso8601()};
  report.rows = static_cast<int64_t>(rows.truth.size());
  const auto right = static_cast<int64_t>(std::ranges::count(rows.scores, 1.0));
  report.figures.push_back({"accuracy", TRY(share_estimate(right, report.rows))});
  TRY(add_fairness(rows, request.options, report));
  report.settings = {{"min_rows", request.options.min_rows}, {"seed", request.options.seed}};
  return report;
}

}  // namespace volant
