#include "train/classify_job.h"

#include <array>

#include "train/job_fields.h"

namespace volant {

Result<ClassifyJob> parse_classify_job(const Json& json) {
  static const std::array<std::string, 1> kKeys = {"class_weights"};
  ClassifyJob job;
  TRY(check_keys(json.as_object(), kKeys, " in 'classify'"));
  const Json* weights = json_find(json, "class_weights");
  if (weights == nullptr) return job;
  if (weights->is_string() && weights->as_string() == "balanced") {
    job.balanced = true;
    return job;
  }
  if (!weights->is_object())
    return fail(ErrorCode::kInvalidArgument, "'class_weights': expected \"balanced\" or {{label: weight}}");
  for (const auto& field : weights->as_object()) {
    double weight = 0;
    TRY(read_number(*weights, field.key(), 0, 1e6, weight));
    job.class_weights[std::string(field.key())] = weight;
  }
  return job;
}

Result<EmbedJob> parse_embed_job(const Json& json) {
  static const std::array<std::string, 3> kKeys = {"batch_size", "pooling", "temperature"};
  static const std::array<std::string, 3> kPooling = {"mean", "cls", "last"};
  EmbedJob job;
  TRY(check_keys(json.as_object(), kKeys, " in 'embed'"));
  TRY(read_int(json, "batch_size", 2, 1 << 16, job.batch_size));
  TRY(read_number(json, "temperature", 1e-4, 100, job.temperature));
  TRY(read_word(json, "pooling", kPooling, job.pooling));
  return job;
}

}  // namespace volant
