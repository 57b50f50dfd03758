#include "wheel/predict/trial_report.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.h"
#include "eval/report/html.h"
#include "eval/significance.h"

namespace volant::predict {
namespace {

constexpr size_t kShownFigures = 3;

std::vector<Estimate> estimates_of(std::span<const TrialResult> trials, const std::string& figure) {
  std::vector<Estimate> estimates;
  for (const TrialResult& trial : trials)
    for (const Figure& each : trial.report.figures)
      if (each.name == figure) estimates.push_back(each.estimate);
  return estimates;
}

// Student's interval, or where all trainings came to the same figure, that of the mean of their own.
Result<Estimate> mean_of(std::span<const Estimate> estimates, std::span<const double> values,
                         double test_per_train) {
  const Estimate mean = TRY(mean_estimate(values, test_per_train));
  if (mean.low < mean.high) return mean;
  return mean_of_estimates(estimates, std::vector<double>(estimates.size(), 1));
}

// Student's interval knows of no bounds, but most figures have them.
Estimate within_bounds(const std::string& figure, Estimate estimate) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const bool is_error =
      figure == "log_loss" || figure == "mean_squared_error" || figure == "mean_absolute_error";
  const double low = figure == "r_squared" ? -kNone : figure == "matthews_correlation" ? -1 : 0;
  const double high = is_error ? kNone : figure == "brier_score" ? 2 : 1;
  estimate.low = std::max(estimate.low, low);
  estimate.high = std::min(estimate.high, high);
  return estimate;
}

std::string shown(const Estimate& estimate, const NumberStyle& style) {
  return fmt::format("{} ({})", format_number(estimate.value, style), format_interval(estimate, style));
}

ReportSection section_of(std::span<const TrialResult> trials, const TrialsKind& kind) {
  ReportSection section{
      .key = kind.key, .title = kind.title, .heading = {kind.each, "rows to learn from", "rows to judge by"}};
  const std::vector<Figure>& figures = trials[0].report.figures;
  for (size_t f = 0; f < std::min(figures.size(), kShownFigures); ++f)
    section.heading.push_back(figure_title(figures[f].name));
  section.heading.emplace_back("seconds");
  JsonArray list;
  std::vector<Bar> bars;  // of the first figure
  for (const TrialResult& trial : trials) {
    bars.push_back({trial.report.title, trial.report.figures[0].estimate});
    std::vector<std::string> cells{trial.report.title, std::to_string(trial.train_rows),
                                   std::to_string(trial.test_rows)};
    JsonObject json;
    for (const Figure& figure : trial.report.figures) json[figure.name] = to_json(figure.estimate);
    for (size_t f = 0; f < std::min(figures.size(), kShownFigures); ++f) {
      const auto found = std::ranges::find(trial.report.figures, figures[f].name, &Figure::name);
      cells.push_back(found == trial.report.figures.end() ? "-"
                                                          : shown(found->estimate, style_of_figure(*found)));
    }
    cells.push_back(fmt::format("{:.1f}", trial.seconds));
    list.push_back(JsonObject{{"name", trial.report.title},
                              {"train_rows", trial.train_rows},
                              {"test_rows", trial.test_rows},
                              {"seconds", trial.seconds},
                              {"figures", std::move(json)}});
    section.rows.push_back(std::move(cells));
  }
  section.json[kind.key] = std::move(list);
  section.plot = svg_bars(bars, "bits", style_of_figure(figures[0]));
  return section;
}

}  // namespace

Result<EvalReport> report_trials(std::span<const TrialResult> trials, const TrialsKind& kind) {
  if (trials.size() < 2)
    return fail(ErrorCode::kInvalidArgument, "expected at least two trainings, got {}", trials.size());
  const bool corrects = kind.test_per_train > 0;
  EvalReport report{.created_at = now_iso8601()};
  ReportSection spread{.key = "spread", .title = "How sure the means are", .heading = {"figure", kind.over}};
  if (corrects) spread.heading.emplace_back("95 %, corrected");
  spread.heading.insert(spread.heading.end(), {"95 %, Student's", "deviation"});
  for (const Figure& figure : trials[0].report.figures) {
    const std::vector<Estimate> estimates = estimates_of(trials, figure.name);
    if (estimates.size() != trials.size()) continue;  // not defined in every one
    std::vector<double> values;
    for (const Estimate& each : estimates) values.push_back(each.value);
    const Estimate mean = within_bounds(figure.name, TRY(mean_of(estimates, values, kind.test_per_train))),
                   student = within_bounds(figure.name, TRY(mean_of(estimates, values, 0)));
    double squares = 0;
    for (const double value : values) squares += (value - mean.value) * (value - mean.value);
    const double deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
    report.figures.push_back({figure.name, mean, figure.higher_is_better});
    const NumberStyle style = style_of_figure(report.figures.back());
    std::vector<std::string> cells{figure_title(figure.name), format_number(mean.value, style)};
    if (corrects) cells.push_back(format_interval(mean, style));
    cells.insert(cells.end(), {format_interval(student, style), format_number(deviation, style)});
    spread.rows.push_back(std::move(cells));
    JsonObject json{{"student", to_json(student)}, {"deviation", deviation}};
    if (corrects) json["corrected"] = to_json(mean);
    spread.json[figure.name] = std::move(json);
  }
  report.sections = {std::move(spread), section_of(trials, kind)};
  return report;
}

}  // namespace volant::predict
