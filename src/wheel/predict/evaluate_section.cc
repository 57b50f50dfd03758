#include "wheel/predict/evaluate_section.h"

#include "tasks/settings.h"

namespace volant::predict {
namespace {

constexpr double kMaxCost = 1e9;

// {false_positive = 1, false_negative = 5}, or nothing.
Result<std::optional<DecisionCost>> read_cost(const JsonObject& evaluate) {
  const Json* json = json_find(evaluate, "cost");
  if (json == nullptr) return std::optional<DecisionCost>();
  if (!json->is_object())
    return fail(ErrorCode::kInvalidArgument,
                "[evaluate] cost: expected {{false_positive = 1, false_negative = 5}}, got {}",
                dump_json(*json));
  Settings settings(*json, "evaluate.cost");
  DecisionCost cost;
  cost.false_positive = settings.number("false_positive", 1, 0, kMaxCost);
  cost.false_negative = settings.number("false_negative", 1, 0, kMaxCost);
  TRY(settings.finish());
  if (cost.false_positive + cost.false_negative == 0)
    return fail(ErrorCode::kInvalidArgument, "[evaluate] cost: expected a mistake that costs more than 0");
  return std::optional(cost);
}

}  // namespace

Result<Evaluation> read_evaluation(const PredictSection& section) {
  const Json json(section.evaluate);
  Settings settings(json, "evaluate");
  Evaluation evaluation;
  evaluation.baselines = settings.flag("baselines", evaluation.baselines);
  evaluation.importance = settings.flag("importance", evaluation.importance);
  evaluation.robustness = settings.flag("robustness", evaluation.robustness);
  evaluation.slices = settings.texts("slices");
  const std::string_view cost = "cost";
  settings.known({&cost, 1});
  TRY(settings.finish());
  evaluation.cost = TRY(read_cost(section.evaluate));
  if (evaluation.cost && section.problem == "number")
    return fail(ErrorCode::kInvalidArgument,
                "[evaluate] cost is of two classes, not of problem = \"number\"");
  if (!evaluation.slices.empty() && section.kind != "table")
    return fail(ErrorCode::kInvalidArgument, "[evaluate] slices are of tables, not of kind = \"{}\"",
                section.kind);
  return evaluation;
}

}  // namespace volant::predict
