#include "eval/predict/decision_cost.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "eval/predict/row_scores.h"
#include "eval/report/html.h"

namespace volant {
namespace {

constexpr double kHalf = 0.5;

struct Stated {
  std::vector<int32_t> truth;         // 1: the second class
  std::vector<double> probabilities;  // of the second class
};

Result<Stated> stated_by(Predictor& predictor, std::span<const TaskRow> rows) {
  const std::vector<std::string>& labels = predictor.labels();
  if (labels.size() != 2)
    return fail(ErrorCode::kInvalidArgument,
                "cost is of two classes, false positives and false negatives; this model has {}",
                labels.empty() ? "numbers" : fmt::format("{} labels", labels.size()));
  Stated stated;
  std::vector<Json> inputs;
  for (const TaskRow& row : rows) {
    const auto found = std::ranges::find(labels, row.label);
    if (found == labels.end()) continue;
    stated.truth.push_back(found == labels.begin() ? 0 : 1);
    inputs.push_back(row.input);
  }
  for (const Prediction& each : TRY(predictor.predict(inputs)))
    stated.probabilities.push_back(each.probabilities[1]);
  return stated;
}

std::vector<double> costs_at(const Stated& stated, const DecisionCost& cost, double threshold) {
  std::vector<double> costs;
  for (size_t i = 0; i < stated.truth.size(); ++i) {
    const bool said = stated.probabilities[i] >= threshold, is = stated.truth[i] == 1;
    costs.push_back(said == is ? 0 : said ? cost.false_positive : cost.false_negative);
  }
  return costs;
}

Status check(std::span<const int32_t> truth, std::span<const double> probabilities,
             const DecisionCost& cost) {
  if (truth.empty() || truth.size() != probabilities.size())
    return fail(ErrorCode::kInvalidArgument,
                "cost: expected a probability for each of n > 0 rows, got {} of {}", probabilities.size(),
                truth.size());
  for (const double p : probabilities)
    if (!(p >= 0 && p <= 1))
      return fail(ErrorCode::kInvalidArgument, "cost: expected probabilities from 0 to 1, got {}", p);
  for (const double c : {cost.false_positive, cost.false_negative})
    if (!(c >= 0) || !std::isfinite(c))
      return fail(ErrorCode::kInvalidArgument, "cost: expected 0 or more for a mistake, got {}", c);
  return {};
}

}  // namespace

Result<double> cheapest_threshold(std::span<const int32_t> truth, std::span<const double> probabilities,
                                  const DecisionCost& cost) {
  TRY(check(truth, probabilities, cost));
  std::vector<size_t> order(truth.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return probabilities[i]; });
  // From "always the second class" upwards: each step makes the rows of the next probability the first class.
  double now = 0;
  for (const int32_t is : truth) now += is == 1 ? 0 : cost.false_positive;
  double least = now, best = std::min(probabilities[order[0]], kHalf);
  const double tolerance = 1e-9 * (cost.false_positive + cost.false_negative);
  for (size_t i = 0; i < order.size();) {
    const double p = probabilities[order[i]];
    for (; i < order.size() && probabilities[order[i]] == p; ++i)
      now += truth[order[i]] == 1 ? cost.false_negative : -cost.false_positive;
    const double next = i < order.size() ? probabilities[order[i]] : 1;
    if (next <= p) continue;  // "never" has no threshold when a probability is 1
    // 0.5 itself where it lies between the two.
    const double threshold = p < kHalf && kHalf <= next ? kHalf : p + (next - p) / 2;
    if (threshold <= p) continue;  // neighbouring numbers
    const bool nearer = std::abs(threshold - kHalf) < std::abs(best - kHalf);
    if (now < least - tolerance || (now <= least + tolerance && nearer)) {
      least = std::min(least, now);
      best = threshold;
    }
  }
  return best;
}

Result<double> cheapest_threshold(Predictor& predictor, std::span<const TaskRow> rows,
                                  const DecisionCost& cost) {
  const Stated stated = TRY(stated_by(predictor, rows));
  return cheapest_threshold(stated.truth, stated.probabilities, cost);
}

Status add_decision_cost(Predictor& predictor, std::span<const TaskRow> rows, const DecisionCost& cost,
                         double threshold, EvalReport& report) {
  const Stated stated = TRY(stated_by(predictor, rows));
  TRY(check(stated.truth, stated.probabilities, cost));
  const NumberStyle style{4};
  ReportSection section{
      .key = "cost",
      .title = fmt::format("What decisions cost: {:g} a false \"{}\", {:g} a missed one", cost.false_positive,
                           predictor.labels()[1], cost.false_negative),
      .heading = {"threshold", "mean cost of a row", "95 %", "false positives", "false negatives"}};
  section.json = {{"threshold", threshold},
                  {"false_positive", cost.false_positive},
                  {"false_negative", cost.false_negative}};
  const auto add = [&](const char* name, const std::string& shown, double at) {
    const std::vector<double> costs = costs_at(stated, cost, at);
    int64_t n_false_positive = 0, n_false_negative = 0;
    for (size_t i = 0; i < costs.size(); ++i) {
      const bool said = stated.probabilities[i] >= at, is = stated.truth[i] == 1;
      n_false_positive += said && !is ? 1 : 0;
      n_false_negative += !said && is ? 1 : 0;
    }
    const Estimate mean = mean_over_rows(costs);
    JsonObject json = to_json(mean).as_object();
    json["false_positives"] = n_false_positive;
    json["false_negatives"] = n_false_negative;
    section.json[name] = std::move(json);
    section.rows.push_back({shown, format_number(mean.value, style), format_interval(mean, style),
                            std::to_string(n_false_positive), std::to_string(n_false_negative)});
    return costs;
  };
  const std::vector<double> half = add("at_half", "0.5", kHalf);
  const std::vector<double> chosen =
      add("at_threshold", fmt::format("{:.4f}, cheapest on the validation rows", threshold), threshold);
  const Estimate difference = mean_difference(half, chosen);
  section.json["difference"] = to_json(difference);
  section.rows.push_back({"difference, paired", format_number(difference.value, style),
                          format_interval(difference, style), "", ""});
  report.sections.push_back(std::move(section));
  return {};
}

}  // namespace volant
