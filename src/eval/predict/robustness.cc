#include "eval/predict/robustness.h"

#include "base/digest.h"
#include "eval/bootstrap.h"
#include "eval/predict/input_changes.h"
#include "eval/predict/row_scores.h"
#include "eval/report/html.h"
#include "eval/significance.h"

namespace volant {
namespace {

struct Outcome {
  std::string name = {};
  std::vector<double> scores = {};
  int64_t n_changed = 0;
  double p_value = 1;
};

Result<std::vector<double>> scores_of(Predictor& predictor, std::span<const TaskRow> rows,
                                      std::span<const Json> inputs) {
  return row_scores(predictor, rows, TRY(predictor.predict(inputs)));
}

Result<double> p_value_of(const std::vector<double>& plain, const std::vector<double>& changed,
                          bool numbers) {
  if (!numbers) {
    const std::vector<int32_t> first(plain.begin(), plain.end()), second(changed.begin(), changed.end());
    return TRY(mcnemar(first, second)).exact_p;
  }
  const auto mean = [](const std::vector<double>& scores) {
    return [&scores](std::span<const size_t> rows) -> Result<double> {
      double sum = 0;
      for (const size_t row : rows) sum += scores[row];
      return sum / static_cast<double>(rows.size());
    };
  };
  return TRY(paired_bootstrap(plain.size(), mean(changed), mean(plain))).p_value;
}

Result<std::vector<Outcome>> outcomes_of(Predictor& predictor, std::span<const TaskRow> rows,
                                         const std::vector<double>& plain, uint64_t seed) {
  std::vector<Outcome> outcomes;
  for (const InputChange& change : TRY(input_changes(predictor.encoder()))) {
    Outcome outcome{.name = change.name};
    std::vector<Json> inputs;
    for (size_t i = 0; i < rows.size(); ++i) {
      Random random(hash64(change.name, seed) + i);
      inputs.push_back(TRY(change.apply(rows[i].input, random)));
      outcome.n_changed += inputs.back() != rows[i].input ? 1 : 0;
    }
    if (outcome.n_changed == 0) continue;
    outcome.scores = TRY(scores_of(predictor, rows, inputs));
    outcome.p_value = TRY(p_value_of(plain, outcome.scores, predictor.problem() == Problem::kNumber));
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace

Status add_robustness(Predictor& predictor, std::span<const TaskRow> all,
                      const PredictRobustnessOptions& options, EvalReport& report) {
  const std::vector<TaskRow> rows = taken_evenly(all, options.max_rows);
  if (rows.empty()) return fail(ErrorCode::kInvalidArgument, "robustness: expected rows, got none");
  std::vector<Json> inputs;
  for (const TaskRow& row : rows) inputs.push_back(row.input);
  const std::vector<double> plain = TRY(scores_of(predictor, rows, inputs));
  const std::vector<Outcome> outcomes = TRY(outcomes_of(predictor, rows, plain, options.seed));
  std::vector<double> p_values;
  for (const Outcome& outcome : outcomes) p_values.push_back(outcome.p_value);
  const std::vector<double> adjusted = TRY(holm(p_values));
  const char* name = row_score_name(predictor.problem());
  const NumberStyle style =
      predictor.problem() == Problem::kNumber ? NumberStyle() : NumberStyle{1, 100, " %"};
  const auto cell = [&](const Estimate& estimate) {
    return fmt::format("{} ({})", format_number(estimate.value, style), format_interval(estimate, style));
  };
  ReportSection section{.key = "robustness",
                        .title = "Robustness: changed inputs beside plain ones",
                        .heading = {"change", "rows that it changes", figure_title(name),
                                    "difference, paired", "p, corrected"}};
  const Estimate of_plain = mean_over_rows(plain);
  section.json = {{"of", name}, {"rows", rows.size()}, {"plain", to_json(of_plain)}};
  section.rows.push_back({"none", std::to_string(rows.size()), cell(of_plain), "", ""});
  JsonObject changes;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    const Estimate value = mean_over_rows(outcome.scores),
                   difference = mean_difference(plain, outcome.scores);
    section.rows.push_back({outcome.name, std::to_string(outcome.n_changed), cell(value), cell(difference),
                            fmt::format("{:.3f}", adjusted[i])});
    changes[outcome.name] = JsonObject{{"rows_changed", outcome.n_changed},
                                       {"changed", to_json(value)},
                                       {"difference", to_json(difference)},
                                       {"adjusted_p", adjusted[i]}};
  }
  section.json["changes"] = std::move(changes);
  report.sections.push_back(std::move(section));
  return {};
}

}  // namespace volant
