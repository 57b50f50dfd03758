// A prediction as users get it, from the server and on the command line.
#pragma once
#include "tasks/predictor.h"

namespace volant {

// {"label", "probability", "probabilities": {label: p}} of classes, the likeliest first; {"value"} of a
// number.
Json to_json(const Prediction& prediction, const Predictor& predictor);
// [{"feature", "score"}...]
Json to_json(std::span<const Reason> reasons);
// [{"id", "label" or "target", "similarity", "input"}...]; without input where it was not kept.
Json to_json(std::span<const Neighbour> neighbours);
// {"task", "problem", "labels", "schema", "nearest": whether it can be asked}: what a form needs to ask the
// model.
Json describe_task(const Predictor& predictor);

}  // namespace volant
