#include "train/classify_job.h"

#include <array>

#include "data/job_words.h"
#include "train/job_fields.h"

namespace volant {

Result<ClassifyJob> parse_classify_job(const Json& json) {
  static const std::array<std::string, 1> kKeys = {"class_weights"};
  ClassifyJob job;
  TRY(check_keys(json.as_object(), kKeys, " in 'classify'"));
  job.class_weights = TRY(parse_class_weights(json));
  return job;
}

Result<EmbedJob> parse_embed_job(const Json& json) {
  static const std::array<std::string, 3> kKeys = {"batch_size", "pooling", "temperature"};
  EmbedJob job;
  TRY(check_keys(json.as_object(), kKeys, " in 'embed'"));
  TRY(read_int(json, "batch_size", 2, 1 << 16, job.batch_size));
  TRY(read_number(json, "temperature", 1e-4, 100, job.temperature));
  if (json_find(json, "pooling") != nullptr)
    TRY(read_word(json, "pooling", job_words("embed.pooling"), job.pooling));
  return job;
}

}  // namespace volant
