#include "tasks/prediction_json.h"

#include <algorithm>
#include <numeric>

namespace volant {

Json to_json(const Prediction& prediction, const Predictor& predictor) {
  if (predictor.problem() == Problem::kNumber) return JsonObject{{"value", prediction.value}};
  const std::vector<double>& p = prediction.probabilities;
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return p[a] > p[b]; });
  JsonObject probabilities;
  for (const size_t i : order) probabilities[predictor.labels()[i]] = p[i];
  const auto best = static_cast<size_t>(prediction.best);
  return JsonObject{{"label", predictor.labels()[best]},
                    {"probability", p[best]},
                    {"probabilities", std::move(probabilities)}};
}

Json to_json(std::span<const Reason> reasons) {
  JsonArray list;
  for (const Reason& reason : reasons)
    list.push_back(JsonObject{{"feature", reason.feature}, {"score", reason.score}});
  return list;
}

Json to_json(std::span<const Neighbour> neighbours) {
  JsonArray list;
  for (const Neighbour& neighbour : neighbours) {
    Json json = to_json(neighbour.row);
    if (neighbour.row.input.as_object().empty()) json.as_object().erase("input");
    json.as_object()["similarity"] = neighbour.similarity;
    list.push_back(std::move(json));
  }
  return list;
}

Json describe_task(const Predictor& predictor) {
  JsonArray labels;
  for (const std::string& label : predictor.labels()) labels.emplace_back(label);
  Json schema = predictor.encoder().schema();
  const std::string kind = json_string_or(schema, "kind", "").value_or("");
  return JsonObject{{"task", kind},
                    {"problem", problem_name(predictor.problem())},
                    {"labels", std::move(labels)},
                    {"schema", std::move(schema)},
                    {"nearest", predictor.has_neighbours()}};
}

}  // namespace volant
