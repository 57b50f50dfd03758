#include "eval/predict/baselines.h"

#include <algorithm>

#include "base/clock.h"
#include "eval/predict/boosted_trees.h"
#include "eval/predict/evaluate.h"
#include "eval/predict/linear_words.h"
#include "eval/report/compare.h"
#include "eval/report/html.h"

namespace volant {
namespace {

struct Outcome {
  std::string name;
  std::vector<double> predicted;  // probabilities [n, classes] or values
  double seconds = 0;
};

Result<std::vector<float>> features_of(const InputEncoder& encoder, std::span<const TaskRow> rows) {
  std::vector<float> features;
  features.reserve(rows.size() * static_cast<size_t>(encoder.n_features()));
  for (const TaskRow& row : rows) {
    const EncodedInput encoded = TRY(encoder.encode(row.input));
    features.insert(features.end(), encoded.features.begin(), encoded.features.end());
  }
  return features;
}

Result<std::vector<float>> targets_of(const Predictor& predictor, std::span<const TaskRow> rows) {
  std::vector<float> targets;
  for (const TaskRow& row : rows) {
    if (predictor.problem() == Problem::kNumber) {
      if (!row.target) return fail(ErrorCode::kInvalidArgument, "row '{}' has no target", row.id);
      targets.push_back(static_cast<float>(*row.target));
      continue;
    }
    const auto& labels = predictor.labels();
    const auto found = std::ranges::find(labels, row.label);
    if (found == labels.end())
      return fail(ErrorCode::kInvalidArgument, "row '{}': the model has no label '{}'", row.id, row.label);
    targets.push_back(static_cast<float>(found - labels.begin()));
  }
  return targets;
}

std::vector<std::string> texts_of(std::span<const TaskRow> rows) {
  std::vector<std::string> texts;
  for (const TaskRow& row : rows)
    texts.push_back(json_string_or(row.input, "text", "").value_or("") + ' ' +
                    json_string_or(row.input, "text_pair", "").value_or(""));
  return texts;
}

Result<Outcome> trees(const Predictor& predictor, std::span<const TaskRow> train,
                      std::span<const TaskRow> test, int n_threads) {
  const double started = steady_seconds();
  const InputEncoder& encoder = predictor.encoder();
  const std::vector<float> learned = TRY(features_of(encoder, train)),
                           asked = TRY(features_of(encoder, test)),
                           targets = TRY(targets_of(predictor, train));
  const int64_t columns = encoder.n_features();
  Outcome outcome{"gradient-boosted trees (XGBoost)", {}, 0};
  outcome.predicted =
      TRY(boosted_trees({learned, columns}, targets, predictor.problem(),
                        static_cast<int>(predictor.labels().size()), {asked, columns}, n_threads));
  outcome.seconds = steady_seconds() - started;
  return outcome;
}

Result<Outcome> words(const Predictor& predictor, std::span<const TaskRow> train,
                      std::span<const TaskRow> test) {
  const double started = steady_seconds();
  std::vector<int32_t> labels;
  for (const float target : TRY(targets_of(predictor, train))) labels.push_back(static_cast<int32_t>(target));
  Outcome outcome{"logistic regression on words (TF-IDF)", {}, 0};
  outcome.predicted =
      TRY(linear_words(texts_of(train), labels, static_cast<int>(predictor.labels().size()), texts_of(test)));
  outcome.seconds = steady_seconds() - started;
  return outcome;
}

void add_rows(const Outcome& outcome, const Comparison& comparison, ReportSection& section) {
  JsonObject figures;
  for (const FigureComparison& figure : comparison.figures) {
    const NumberStyle style;
    figures[figure.name] = JsonObject{{"baseline", to_json(figure.first)},
                                      {"model", to_json(figure.second)},
                                      {"difference", to_json(figure.difference)},
                                      {"verdict", verdict_name(figure.verdict)}};
    section.rows.push_back(
        {outcome.name, figure_title(figure.name),
         fmt::format("{:.3f} ({})", figure.first.value, format_interval(figure.first, style)),
         fmt::format("{:.3f} ({})", figure.second.value, format_interval(figure.second, style)),
         fmt::format("{:+.3f} ({})", figure.difference.value, format_interval(figure.difference, style)),
         verdict_name(figure.verdict)});
  }
  section.json[outcome.name] = JsonObject{{"figures", std::move(figures)}, {"seconds", outcome.seconds}};
}

}  // namespace

Status add_baselines(const Predictor& predictor, std::span<const TaskRow> train,
                     std::span<const TaskRow> test, const BaselineOptions& options, EvalReport& report) {
  const Json schema = predictor.encoder().schema();
  const std::string kind = TRY(json_string_or(schema, "kind", ""));
  const bool is_table = kind == "table", is_text = kind == "text" && predictor.problem() != Problem::kNumber;
  if (!is_table && !is_text) return {};
  const Result<Outcome> outcome =
      is_table ? trees(predictor, train, test, options.n_threads) : words(predictor, train, test);
  if (!outcome) {
    if (outcome.error().code != ErrorCode::kUnavailable) return outcome.error();
    report.notes.push_back("no baseline: " + outcome.error().message);
    return {};
  }
  EvalReport baseline = TRY(report_predictions(predictor, test, outcome->predicted, options.bootstrap));
  baseline.title = outcome->name;
  ReportSection section{
      .key = "baselines",
      .title = "Beside it",
      .heading = {"baseline", "figure", "baseline's", "the model's", "difference", "the model is"}};
  const Comparison comparison = TRY(compare_reports(std::move(baseline), report));
  add_rows(*outcome, comparison, section);
  for (const FigureComparison& figure : comparison.figures)
    if (figure.verdict == Verdict::kWorse &&
        (figure.name == "accuracy" || figure.name == "mean_squared_error"))
      report.notes.push_back(fmt::format("{} does better than the model: {} {:.3f} against {:.3f}",
                                         outcome->name, figure_title(figure.name), figure.first.value,
                                         figure.second.value));
  report.sections.push_back(std::move(section));
  return {};
}

}  // namespace volant
