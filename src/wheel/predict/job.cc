#include "wheel/predict/job.h"

#include <algorithm>

#include "tasks/problem.h"
#include "wheel/predict/stages.h"
#include "wheel/predict/train_section.h"
#include "wheel/pretrained.h"
#include "wheel/stages.h"

namespace volant::predict {
namespace {

const char* problem_type(const std::string& problem) {
  return problem == "number" ? problem_name(Problem::kNumber)
                             : problem_name(problem == "binary" ? Problem::kBinary : Problem::kClasses);
}

// config.json of a new model: a network of `layers`, or fields of a family that Hugging Face's names say. The
// trainer adds what the encoder and the labels say.
Result<JsonObject> new_model(const PredictSection& section) {
  JsonObject config = section.model;
  if (config.contains("layers")) {
    config["model_type"] = "network";
    config["architectures"] = JsonArray{Json("NetworkForPrediction")};
    config["problem_type"] = problem_type(section.problem);
    return config;
  }
  const std::string family = TRY(json_string_or(Json(config), "architecture", ""));
  if (family.empty())
    return fail(
        ErrorCode::kInvalidArgument,
        "expected [model] with layers = [...], init_from = \"FOLDER\", or architecture = \"bert\" with its "
        "fields");
  if (family != "bert" || section.problem != "classes")
    return fail(ErrorCode::kUnsupported,
                "[model] architecture: expected \"bert\" for classes, or layers = [...], got \"{}\" for {}",
                family, section.problem);
  config.erase("architecture");
  config["model_type"] = family;
  config["architectures"] = JsonArray{Json("BertForSequenceClassification")};
  return config;
}

}  // namespace

Result<JsonObject> training_job(const Workspace& workspace, const Path& rows) {
  const PredictSection& section = *workspace.config().predict;
  JsonObject job = TRY(training_settings(section));
  job["encoder"] = (rows / kEncoderFolder).string();
  job["data"] = JsonObject{{"train_rows", (rows / kTrainRows).string()},
                           {"validation_rows", (rows / kValidationRows).string()}};
  const std::string init_from = TRY(json_string_or(Json(section.model), "init_from", ""));
  job["model"] =
      init_from.empty()
          ? JsonObject{{"config", TRY(new_model(section))}}
          : JsonObject{{"init_from", TRY(pretrained_folder(workspace.path(), init_from)).string()}};
  return job;
}

Result<JsonObject> tuning_job(const Workspace& workspace, const Path& model, const Path& file, int64_t steps,
                              double lr) {
  JsonObject job = TRY(training_settings(*workspace.config().predict));
  for (const char* key : {"epochs", "patience", "warmup_steps", "validation_rows"}) job.erase(key);
  job["encoder"] = model.string();
  job["data"] = JsonObject{{"train_rows", file.string()}};
  job["model"] = JsonObject{{"init_from", model.string()}};
  job["steps"] = steps;
  job["lr"] = lr;
  job["warmup_steps"] = 0;
  job["max_seconds"] = workspace.config().improve.max_minutes * 60;
  job["evaluate_every"] = 0;
  job["checkpoint_every"] = std::max<int64_t>(steps / 4, 1);
  job["finish_with"] = "last";
  return job;
}

}  // namespace volant::predict
