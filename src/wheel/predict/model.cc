// Train, evaluate, compress and deploy a model that predicts.
#include "base/progress.h"
#include "wheel/deploy.h"
#include "wheel/predict/evaluation.h"
#include "wheel/predict/job.h"
#include "wheel/predict/report.h"
#include "wheel/predict/stages.h"
#include "wheel/predict/train_section.h"
#include "wheel/trainer.h"

namespace volant::predict {

Result<Json> train_settings(Workspace& workspace, bool cheap) {
  const PredictSection& section = *workspace.config().predict;
  return Json(JsonObject{{"task", section.kind},
                         {"problem", section.problem},
                         {"model", section.model},
                         {"init_from", TRY(init_from_settings(workspace, cheap))},
                         {"train", settings_that_count(section)}});
}

Result<StageResult> run_train(StageContext& context) {
  const Path rows = TRY(context.input("rows")), run = run_dir(context.workspace.registry(), context.run.id);
  const TrainedModel trained = TRY(run_trainer(run, Json(TRY(training_job(context.workspace, rows))), {},
                                               TRY(launch_of(*context.workspace.config().predict))));
  // A copy: the run's folder stays whole until the artifact is recorded.
  const Path folder = context.scratch / "model";
  TRY(copy_all(trained.folder, folder));
  if (const Path parity = run / "parity.json"; std::filesystem::exists(parity))
    TRY(copy_all(parity, folder / "parity.json"));
  StageResult result;
  result.products = {{"hf", "hf_model", folder}};
  result.names["train_run"] = context.run.id;
  result.summary = trained.summary;
  const auto number = [&](const char* key) { return json_number_or(trained.summary, key, 0).value_or(0); };
  result.detail = fmt::format("{} parameters, {:.0f} steps, loss {:.4f}, {:.4f} on rows to choose by",
                              format_count(static_cast<uint64_t>(number("n_parameters"))), number("steps"),
                              number("loss"), number("validation_loss"));
  return result;
}

Result<Json> evaluate_settings(Workspace& workspace, bool) {
  return Json(workspace.config().predict->evaluate);
}

Result<StageResult> run_evaluate(StageContext& context) {
  const Path model = TRY(context.input("hf")), rows = TRY(context.input("rows"));
  EvalReport report = TRY(report_on_test(context.workspace, model, rows));
  TRY(add_sections(context.workspace, model, rows, report));
  const Path folder = context.scratch / "evaluation";
  TRY(write_report(report, folder));
  StageResult result;
  result.products = {{"evaluation", "evaluation", folder}};
  result.detail = headline_of(report);
  result.summary = metrics_of(report);
  return result;
}

Result<Json> compress_settings(Workspace& workspace, bool) {
  Json settings = to_json(workspace.config().compress);
  // They choose the served threshold, and what lies beside the model.
  for (const char* key : {"cost", "nearest"})
    if (const Json* value = json_find(workspace.config().predict->evaluate, key); value != nullptr)
      settings.as_object()[key] = *value;
  return settings;
}

Result<StageResult> run_compress(StageContext& context) {
  const Served served = TRY(make_served(context.workspace, TRY(context.input("hf")),
                                        TRY(context.input("rows")), context.scratch / "served"));
  const Path parity = context.scratch / "parity.json";
  TRY(write_file_atomic(parity, dump_json_pretty(served.parity)));
  StageResult result;
  result.products = {{"served", "hf_model", served.folder}, {"parity", "parity", parity}};
  result.detail = fmt::format("{}: {}, {:.1f} % of predictions the same",
                              context.workspace.config().compress.formats.front(),
                              format_bytes(static_cast<double>(served.bytes)),
                              100 * json_number_or(served.parity, "same_prediction", 0).value_or(0));
  result.summary = JsonObject{{"parity", served.parity}};
  return result;
}

Result<Json> deploy_settings(Workspace& workspace, bool) { return to_json(workspace.config().predict->gate); }

Result<StageResult> run_deploy(StageContext& context) {
  const Path rows = TRY(context.input("rows"));
  const EvalReport report = TRY(report_on_test(context.workspace, TRY(context.input("served")), rows));
  ModelVersion version;
  version.run_id = context.inputs.at("train_run");
  version.dataset = context.inputs.at("rows");
  version.hf = context.inputs.at("hf");
  version.gguf = context.inputs.at("served");
  version.bytes = TRY(volant::file_size(TRY(context.input("served")) / "model.safetensors"));
  version.parity = TRY(parse_json(TRY(read_file(TRY(context.input("parity"))))));
  version.metrics = metrics_of(report);
  version.metrics.as_object()["report"] = context.inputs.at("evaluation");
  return deploy_version(context, version, [&] { return gate_of(context.workspace, report, rows); });
}

}  // namespace volant::predict
