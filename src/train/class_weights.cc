#include "train/class_weights.h"

#include <algorithm>
#include <numeric>

#include "base/nearest.h"
#include "train/job_fields.h"

namespace volant {

Result<ClassWeights> parse_class_weights(const Json& json) {
  ClassWeights how;
  const Json* given = json_find(json, "class_weights");
  if (given == nullptr) return how;
  if (given->is_string() && given->as_string() == "balanced") {
    how.balanced = true;
    return how;
  }
  if (!given->is_object())
    return fail(ErrorCode::kInvalidArgument, "'class_weights': expected \"balanced\" or {{label: weight}}");
  for (const auto& field : given->as_object())
    TRY(read_number(*given, field.key(), 0, 1e6, how.of_label[std::string(field.key())]));
  return how;
}

Result<std::vector<double>> weights_of_classes(const ClassWeights& how,
                                               const std::vector<std::string>& labels,
                                               std::span<const double> counts) {
  std::vector<double> weights;
  if (!how.given()) return weights;
  weights.assign(labels.size(), 1);
  for (const auto& [label, weight] : how.of_label) {
    const auto found = std::find(labels.begin(), labels.end(), label);
    if (found == labels.end())
      return fail(ErrorCode::kInvalidArgument, "'class_weights': there is no label '{}'{}", label,
                  did_you_mean(label, labels));
    weights[static_cast<size_t>(found - labels.begin())] = weight;
  }
  if (!how.balanced) return weights;
  const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
  for (size_t c = 0; c < labels.size(); ++c)
    if (counts[c] > 0) weights[c] = all / (static_cast<double>(labels.size()) * counts[c]);
  return weights;
}

}  // namespace volant
