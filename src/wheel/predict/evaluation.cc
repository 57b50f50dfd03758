#include "wheel/predict/evaluation.h"

#include "eval/predict/baselines.h"
#include "eval/predict/importance.h"
#include "eval/predict/robustness.h"
#include "eval/predict/slices.h"
#include "wheel/predict/stages.h"
#include "wheel/stages.h"

namespace volant::predict {
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
  const std::vector<std::string> slices =
      evaluation.all_slices ? TRY(slice_columns(*predictor)) : evaluation.slices;
  if (!slices.empty())
    TRY(add_slices(*predictor, test, slices, threshold.value_or(predictor->threshold()), report));
  if (evaluation.importance) TRY(add_importance(*predictor, test, {}, report));
  if (evaluation.robustness) TRY(add_robustness(*predictor, test, {}, report));
  if (evaluation.attacks) TRY(add_attacks(*predictor, model, test, *evaluation.attacks, report));
  return {};
}

}  // namespace volant::predict
