#include "wheel/predict/evaluation.h"

#include "eval/predict/baselines.h"
#include "eval/predict/importance.h"
#include "eval/predict/robustness.h"
#include "eval/predict/slices.h"
#include "tasks/settings.h"
#include "wheel/predict/stages.h"
#include "wheel/stages.h"

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

Result<std::optional<double>> chosen_threshold(const Workspace& workspace, Predictor& predictor,
                                               const Path& rows) {
  const Evaluation evaluation = TRY(read_evaluation(*workspace.config().predict));
  if (!evaluation.cost) return std::optional<double>();
  const std::vector<TaskRow> validation = TRY(read_task_rows(rows / kValidationRows));
  Result<double> threshold = cheapest_threshold(predictor, validation, *evaluation.cost);
  if (!threshold) return std::move(threshold).error().at("[evaluate] cost, on the validation rows");
  return std::optional(*threshold);
}

Status add_sections(const Workspace& workspace, const Path& model, const Path& rows, EvalReport& report) {
  const Evaluation evaluation = TRY(read_evaluation(*workspace.config().predict));
  const auto predictor = TRY(Predictor::load(model));
  const std::vector<TaskRow> test = TRY(read_task_rows(rows / kTestRows));
  if (evaluation.baselines)
    TRY(add_baselines(*predictor, TRY(read_task_rows(rows / kTrainRows)), test, {}, report));
  const std::optional<double> threshold = TRY(chosen_threshold(workspace, *predictor, rows));
  if (threshold) TRY(add_decision_cost(*predictor, test, *evaluation.cost, *threshold, report));
  if (!evaluation.slices.empty())
    TRY(add_slices(*predictor, test, evaluation.slices, threshold.value_or(predictor->threshold()), report));
  if (evaluation.importance) TRY(add_importance(*predictor, test, {}, report));
  if (evaluation.robustness) TRY(add_robustness(*predictor, test, {}, report));
  return {};
}

}  // namespace volant::predict
