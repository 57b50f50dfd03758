// POST /v1/predictions: inputs in, labels with their probabilities or numbers out; each is recorded under an
// id, so that a corrected label can name it. GET /v1/task: what a form needs to ask.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "registry/registry.h"
#include "server/http_exchange.h"
#include "server/model_host.h"

namespace volant {

struct PredictionsRequest {
  std::string model = "production";
  std::vector<Json> inputs;                   // objects, never empty
  size_t nearest = 0;                         // how many training examples like it; 0: none
  std::optional<ExplainMethod> explain = {};  // why: what in the input spoke for the label
};

// Reads a request strictly, as openai_request.h does: `where` of an error is the field's name.
Result<PredictionsRequest> parse_predictions_request(const Json& body);
// {"object": "predictions", "created", "model", "predictions": [{"id", "label", "probability",
// "probabilities"} or
// {"id", "value"}, each with "explanation" and "nearest" when asked for]}. Computes, on the calling thread. A
// model that predicts nothing answers 400 and says where it answers. `registry`: where answers are recorded;
// null: nowhere.
HttpResponse predictions_response(const PredictionsRequest& request, const ServedModel& model,
                                  Registry* registry);
// {"task": "image", "problem", "labels", "schema", "nearest", "model"}; of other models {"task": "generate"
// or "embed", "model"}.
HttpResponse task_response(const ServedModel& model);

}  // namespace volant
