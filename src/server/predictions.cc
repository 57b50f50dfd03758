#include "server/predictions.h"

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/random.h"
#include "registry/answers.h"
#include "server/api_error.h"
#include "tasks/prediction_json.h"

namespace volant {
namespace {

constexpr size_t kMaxInputs = 256;  // in a request
constexpr int64_t kMaxNearest = 20;

Error bad(std::string_view param, const std::string& message) {
  return Error{ErrorCode::kInvalidArgument, message, std::string(param)};
}

HttpResponse no_predictions(const ServedModel& model) {
  return error_response(400, "unsupported",
                        fmt::format("'{}' predicts no classes and no numbers: it answers at {}", model.name,
                                    model.engine ? "/v1/chat/completions" : "/v1/embeddings"),
                        "model");
}

// What feedback must know to check a correction.
JsonObject settings_of(const Predictor& predictor) {
  JsonObject settings{{"problem", problem_name(predictor.problem())}};
  JsonArray labels;
  for (const std::string& label : predictor.labels()) labels.emplace_back(label);
  if (!labels.empty()) settings["labels"] = std::move(labels);
  return settings;
}

// A prediction that cannot be recorded is answered all the same.
void record(Registry& registry, const ServedModel& model, const std::string& id, const Json& input,
            const Json& prediction) {
  const Json* label = json_find(prediction, "label");
  const RecordedAnswer answer{
      .id = id,
      .version = model.version,
      .created_at = {},
      .messages = {JsonObject{{"role", "input"}, {"content", dump_json(input)}}},
      .answer = label != nullptr ? std::string(label->as_string()) : dump_json(prediction.at("value")),
      .settings = settings_of(*model.predictor)};
  if (const Status recorded = record_answer(registry, answer); !recorded)
    log_error("prediction {} was not recorded: {}", id, recorded.error().to_string());
}

}  // namespace

Result<PredictionsRequest> parse_predictions_request(const Json& body) {
  if (!body.is_object()) return bad("", "expected a JSON object");
  const std::vector<std::string> known = {"model", "input", "explain", "nearest", "user"};
  for (const auto& entry : body.get_object()) {
    const std::string key(entry.key());
    if (std::ranges::find(known, key) == known.end())
      return bad(key, fmt::format("unknown field '{}'{}", key.substr(0, 64), did_you_mean(key, known)));
  }
  PredictionsRequest out;
  if (const Json* model = json_find(body, "model"); model != nullptr) {
    if (!model->is_string()) return bad("model", "expected 'model' to be the name of a model");
    out.model = std::string(model->get_string());
  }
  if (const Json* explain = json_find(body, "explain"); explain != nullptr) {
    Result<ExplainMethod> method = ExplainMethod::kIntegratedGradients;
    if (explain->is_string()) method = explain_method_from_name(explain->get_string());
    if (!method || (!explain->is_bool() && !explain->is_string()))
      return bad("explain",
                 "expected 'explain' to be true, false, \"integrated_gradients\" or \"occlusion\"");
    if (explain->is_string() || explain->get_bool()) out.explain = *method;
  }
  if (const Json* nearest = json_find(body, "nearest"); nearest != nullptr) {
    const int64_t n = nearest->is_int64() || nearest->is_uint64() ? nearest->to_number<int64_t>() : -1;
    if (n < 0 || n > kMaxNearest)
      return bad("nearest", fmt::format("expected 'nearest' to be a whole number from 0 to {}", kMaxNearest));
    out.nearest = static_cast<size_t>(n);
  }
  const Json* input = json_find(body, "input");
  if (input != nullptr && input->is_object()) out.inputs = {*input};
  if (input != nullptr && input->is_array())
    out.inputs.assign(input->get_array().begin(), input->get_array().end());
  if (out.inputs.empty() ||
      !std::ranges::all_of(out.inputs, [](const Json& each) { return each.is_object(); }))
    return bad("input",
               "expected 'input': an object, or a list of objects; GET /v1/task shows what it holds");
  if (out.inputs.size() > kMaxInputs)
    return bad("input",
               fmt::format("expected at most {} inputs a request, got {}", kMaxInputs, out.inputs.size()));
  return out;
}

HttpResponse predictions_response(const PredictionsRequest& request, const ServedModel& model,
                                  Registry* registry) {
  if (!model.predictor) return no_predictions(model);
  Predictor& predictor = *model.predictor;
  const Result<std::vector<Prediction>> predictions = predictor.predict(request.inputs);
  if (!predictions) {
    Error error = predictions.error();
    if (error.code == ErrorCode::kInvalidArgument) error.where = "input";
    return error_response(error);
  }
  JsonArray data;
  for (size_t i = 0; i < predictions->size(); ++i) {
    Result<std::vector<Reason>> reasons = std::vector<Reason>();
    if (request.explain) reasons = predictor.explain(request.inputs[i], (*predictions)[i], *request.explain);
    if (!reasons) return error_response(reasons.error());
    Result<std::vector<Neighbour>> nearest = std::vector<Neighbour>();
    if (request.nearest > 0) nearest = predictor.nearest(request.inputs[i], request.nearest);
    if (!nearest && nearest.error().code == ErrorCode::kNotFound)
      return error_response(400, "unsupported", nearest.error().message, "nearest");
    if (!nearest) return error_response(nearest.error());
    JsonObject prediction{{"id", "pred-" + secure_random_hex(12)}};
    const Json said = to_json((*predictions)[i], predictor);
    for (const auto& field : said.as_object()) prediction.insert(field);
    if (registry != nullptr && model.registered)
      record(*registry, model, std::string(prediction["id"].as_string()), request.inputs[i],
             Json(prediction));
    if (request.explain) prediction["explanation"] = to_json(*reasons);
    if (request.nearest > 0) prediction["nearest"] = to_json(*nearest);
    data.push_back(std::move(prediction));
  }
  return json_response(JsonObject{{"object", "predictions"},
                                  {"created", now_unix_seconds()},
                                  {"model", model.version},
                                  {"predictions", std::move(data)}});
}

HttpResponse task_response(const ServedModel& model) {
  if (!model.predictor)
    return json_response(JsonObject{{"task", model.engine ? "generate" : "embed"}, {"model", model.version}});
  Json task = describe_task(*model.predictor);
  task.as_object()["model"] = model.version;
  return json_response(task);
}

}  // namespace volant
