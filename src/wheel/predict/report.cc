#include "wheel/predict/report.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/nearest.h"
#include "compress/hf_export.h"
#include "eval/predict/row_scores.h"
#include "eval/report/compare.h"
#include "eval/significance.h"
#include "registry/artifacts.h"
#include "wheel/predict/evaluation.h"
#include "wheel/predict/stages.h"
#include "wheel/stages.h"

namespace volant::predict {
namespace {

constexpr double kMinAgreement = 0.99;  // of the predictions of the served folder with the trained one
constexpr size_t kParityRows = 1000;
constexpr double kPercent = 100, kAlpha = 0.05;

const Figure* find_figure(const EvalReport& report, std::string_view name) {
  const auto found = std::ranges::find(report.figures, name, &Figure::name);
  return found == report.figures.end() ? nullptr : &*found;
}

// The share of the test rows that the most frequent label of the training rows would get right.
Result<double> share_of_most_frequent(const Path& rows) {
  std::map<std::string, int64_t> counts;
  for (const TaskRow& row : TRY(read_task_rows(rows / kTrainRows))) ++counts[row.label];
  const auto most = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
  const std::vector<TaskRow> test = TRY(read_task_rows(rows / kTestRows));
  if (most == counts.end() || test.empty()) return 0.0;
  const auto right = std::ranges::count(test, most->first, &TaskRow::label);
  return static_cast<double>(right) / static_cast<double>(test.size());
}

Result<GateReport> gate_of_first(const EvalReport& candidate, const Path& rows) {
  GateReport gate{.passed = true, .reasons = {}, .figures = JsonObject()};
  if (const Figure* r2 = find_figure(candidate, "r_squared")) {
    gate.figures = JsonObject{{"r_squared", to_json(r2->estimate)}};
    add_condition(
        gate, r2->estimate.low > 0,
        fmt::format("it explains {:.1f} % of the variance ({:.1f} to {:.1f}), more than the mean does",
                    kPercent * r2->estimate.value, kPercent * r2->estimate.low,
                    kPercent * r2->estimate.high));
    return gate;
  }
  const Figure* accuracy = find_figure(candidate, "accuracy");
  if (accuracy == nullptr) return fail(ErrorCode::kInternal, "the report has neither accuracy nor r_squared");
  const double frequent = TRY(share_of_most_frequent(rows));
  gate.figures = JsonObject{{"accuracy", to_json(accuracy->estimate)}, {"most_frequent_label", frequent}};
  add_condition(
      gate, accuracy->estimate.low > frequent,
      fmt::format("{:.1f} % right ({:.1f} to {:.1f}), the most frequent label alone would be {:.1f} %",
                  kPercent * accuracy->estimate.value, kPercent * accuracy->estimate.low,
                  kPercent * accuracy->estimate.high, kPercent * frequent));
  return gate;
}

// What to do when only the interval was too wide.
std::string too_wide(bool is_so, const char* key) {
  return is_so ? fmt::format(": so few rows cannot show it; give more, or a larger {} in [gate]", key) : "";
}

// A condition on the figure that decides, from the paired difference to production.
void add_difference(const FigureComparison& figure, const PredictGateSection& limits, GateReport& gate) {
  const Estimate& difference = figure.difference;
  gate.figures.as_object()[figure.name] = JsonObject{{"candidate", to_json(figure.second)},
                                                     {"reference", to_json(figure.first)},
                                                     {"difference", to_json(difference)}};
  if (figure.name == "accuracy") {
    const bool holds = figure.same_scores || difference.low >= -limits.max_accuracy_drop;
    add_condition(
        gate, holds,
        figure.same_scores
            ? "accuracy is the same: every test row is as right or wrong as before"
            : fmt::format(
                  "accuracy changes by {:+.2f} points, by {:+.2f} at worst (95 % confidence); {:+.2f} is allowed{}",
                  kPercent * difference.value, kPercent * difference.low,
                  -kPercent * limits.max_accuracy_drop,
                  too_wide(!holds && difference.value >= -limits.max_accuracy_drop, "max_accuracy_drop")));
  } else if (figure.name == "mean_squared_error") {
    const double allowed = limits.max_error_increase * figure.first.value;
    const bool holds = difference.high <= allowed;
    add_condition(
        gate, holds,
        fmt::format(
            "the mean squared error changes by {:+.4g}, by {:+.4g} at worst (95 % confidence); {:+.4g} is allowed{}",
            difference.value, difference.high, allowed,
            too_wide(!holds && difference.value <= allowed, "max_error_increase")));
  }
}

// The figures that [gate] names are those of the report.
Status check_figures(const EvalReport& candidate, const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const Figure& figure : candidate.figures) known.push_back(figure.name);
  for (const std::string& name : names)
    if (std::ranges::find(known, name) == known.end())
      return fail(ErrorCode::kInvalidArgument, "[gate] figures: the report has no '{}'{}", name,
                  did_you_mean(name, known));
  return {};
}

// A condition on each of the named figures, with Holm's correction over all of them.
Status add_figures(const Comparison& comparison, const std::vector<std::string>& names, GateReport& gate) {
  std::vector<const FigureComparison*> chosen;
  std::vector<double> p_values;
  for (const FigureComparison& figure : comparison.figures) {
    if (std::ranges::find(names, figure.name) == names.end()) continue;
    chosen.push_back(&figure);
    p_values.push_back(figure.p_value);
  }
  const std::vector<double> adjusted = TRY(holm(p_values));
  for (size_t i = 0; i < chosen.size(); ++i) {
    const FigureComparison& figure = *chosen[i];
    const bool lower = figure.difference.value < 0, worse = lower == figure.higher_is_better;
    gate.figures.as_object()[figure.name] = JsonObject{{"candidate", to_json(figure.second)},
                                                       {"reference", to_json(figure.first)},
                                                       {"difference", to_json(figure.difference)},
                                                       {"adjusted_p", adjusted[i]}};
    add_condition(gate, !worse || adjusted[i] > kAlpha,
                  fmt::format("{} is {:.4g}, was {:.4g}: {:+.3g} ({:+.3g} to {:+.3g}), p = {:.3f} after "
                              "correction for {}",
                              figure.name, figure.second.value, figure.first.value, figure.difference.value,
                              figure.difference.low, figure.difference.high, adjusted[i],
                              count_of(chosen.size(), "figures")));
  }
  return {};
}

Result<std::vector<std::string>> answers_of(const Path& model, std::span<const Json> inputs) {
  const auto predictor = TRY(Predictor::load(model));
  std::vector<std::string> answers;
  for (const Prediction& each : TRY(predictor->predict(inputs)))
    answers.push_back(predictor->problem() == Problem::kNumber
                          ? fmt::format("{:.4g}", each.value)
                          : predictor->labels()[static_cast<size_t>(each.best)]);
  return answers;
}

// Of the served folder's own probabilities.
Result<std::optional<double>> write_threshold(const Workspace& workspace, const Path& folder,
                                              const Path& rows) {
  const auto predictor = TRY(Predictor::load(folder));
  const std::optional<double> threshold = TRY(chosen_threshold(workspace, *predictor, rows));
  if (threshold)
    TRY(write_file_atomic(folder / "predictor.json",
                          dump_json_pretty(JsonObject{{"threshold", *threshold}})));
  return threshold;
}

// Training rows beside the served model, as many as [evaluate] nearest allows: whoever may ask it sees them.
Status write_neighbours(const Workspace& workspace, const Path& folder, const Path& rows) {
  const Evaluation evaluation = TRY(read_evaluation(*workspace.config().predict));
  if (evaluation.nearest == 0) return {};
  const auto predictor = TRY(Predictor::load(folder));
  const std::vector<TaskRow> train = TRY(read_task_rows(rows / kTrainRows));
  const size_t width =
      TRY(predictor->hidden(std::vector{TRY(predictor->encoder().encode(train.at(0).input))})).size();
  const std::vector<TaskRow> kept =
      taken_evenly(train, std::min(static_cast<size_t>(evaluation.nearest),
                                   std::max<size_t>(1, Neighbours::kMaxNumbers / width)));
  std::vector<EncodedInput> inputs;
  inputs.reserve(kept.size());
  for (const TaskRow& row : kept) inputs.push_back(TRY(predictor->encoder().encode(row.input)));
  return Neighbours::write(folder, kept, TRY(predictor->hidden(inputs)));
}

}  // namespace

Result<EvalReport> report_on_test(Workspace& workspace, const Path& model, const Path& rows) {
  const auto predictor = TRY(Predictor::load(model));
  const std::vector<TaskRow> test = TRY(read_task_rows(rows / kTestRows));
  EvalReport report = TRY(evaluate_predictor(*predictor, test));
  report.title = workspace.config().name;
  report.suite = "test rows";
  return report;
}

Status write_report(const EvalReport& report, const Path& folder) {
  TRY(make_dirs(folder));
  TRY(write_file_atomic(folder / "report.json", dump_json_pretty(to_json(report))));
  return write_file_atomic(folder / "report.html", to_html(report));
}

Json metrics_of(const EvalReport& report) {
  Json json = to_json(report);
  for (const char* rows : {"row_scores", "plots", "examples", "by_group"}) json.as_object().erase(rows);
  return json;
}

Result<GateReport> gate_of(Workspace& workspace, const EvalReport& candidate, const Path& rows) {
  const PredictGateSection& limits = workspace.config().predict->gate;
  const auto production = TRY(alias_target(workspace.registry(), "production"));
  TRY(check_figures(candidate, limits.figures));
  GateReport gate{.passed = true, .reasons = {}, .figures = JsonObject()};
  if (!production) {
    gate = TRY(gate_of_first(candidate, rows));
  } else {
    const ModelVersion version = TRY(find_version(workspace.registry(), *production));
    const Path model = TRY(version_model_path(workspace.registry(), version));
    const Comparison comparison =
        TRY(compare_reports(TRY(report_on_test(workspace, model, rows)), candidate));
    for (const FigureComparison& figure : comparison.figures) add_difference(figure, limits, gate);
    TRY(add_figures(comparison, limits.figures, gate));
    gate.figures.as_object()["compared_with"] = *production;
  }
  add_condition(
      gate, candidate.rows >= limits.min_rows,
      fmt::format("judged by {} held-out rows, at least {} are expected", candidate.rows, limits.min_rows));
  return gate;
}

Result<Served> make_served(Workspace& workspace, const Path& hf, const Path& rows, const Path& folder) {
  const std::string& format = workspace.config().compress.formats.front();
  const Checkpoint checkpoint = TRY(Checkpoint::open(hf));
  TRY(write_hf_weights(checkpoint, TRY(dtype_from_name(format)), folder));
  TRY(TRY(load_encoder(hf))->save(folder));
  std::vector<TaskRow> test = TRY(read_task_rows(rows / kTestRows));
  if (test.size() > kParityRows) test.resize(kParityRows);
  std::vector<Json> inputs;
  inputs.reserve(test.size());
  for (TaskRow& row : test) inputs.push_back(std::move(row.input));
  const std::vector<std::string> before = TRY(answers_of(hf, inputs)),
                                 after = TRY(answers_of(folder, inputs));
  int64_t same = 0;
  for (size_t i = 0; i < before.size(); ++i) same += before[i] == after[i] ? 1 : 0;
  const double agreement =
      before.empty() ? 1 : static_cast<double>(same) / static_cast<double>(before.size());
  if (agreement < kMinAgreement)
    return fail(ErrorCode::kRefused,
                "only {:.1f} % of {} predictions are the same in {}; use formats = [\"f32\"]",
                kPercent * agreement, before.size(), format);
  Served served{folder, {}, TRY(volant::file_size(folder / "model.safetensors"))};
  JsonObject parity{
      {"format", format}, {"rows", before.size()}, {"same_prediction", agreement}, {"bytes", served.bytes}};
  if (const auto threshold = TRY(write_threshold(workspace, folder, rows))) parity["threshold"] = *threshold;
  TRY(write_neighbours(workspace, folder, rows));
  // What the trainer found when it compared its own outputs with the native ones.
  if (const Path training = hf / "parity.json"; std::filesystem::exists(training))
    parity["training"] = TRY(parse_json(TRY(read_file(training))));
  served.parity = std::move(parity);
  return served;
}

std::string headline_of(const EvalReport& report) {
  for (const char* name : {"accuracy", "r_squared"})
    if (const Figure* figure = find_figure(report, name))
      return fmt::format("{} {:.3f} ({:.3f} to {:.3f}) on {}", name, figure->estimate.value,
                         figure->estimate.low, figure->estimate.high,
                         count_of(static_cast<uint64_t>(report.rows), "rows"));
  return count_of(static_cast<uint64_t>(report.rows), "rows");
}

}  // namespace volant::predict
