#include "train/distil_job.h"

#include <array>

#include "data/job_words.h"
#include "train/job_fields.h"

namespace volant {

Result<DistilJob> parse_distil_job(const Json& json, const Path& folder) {
  static const std::array<std::string, 6> kKeys = {"alpha",   "from",        "max_new_tokens",
                                                   "teacher", "temperature", "top_k"};
  if (!json.is_object()) return fail(ErrorCode::kInvalidArgument, "expected an object 'distil'");
  TRY(check_keys(json.as_object(), kKeys, " in 'distil'"));
  DistilJob job;
  TRY(read_path(json, "teacher", folder, job.teacher));
  if (job.teacher.empty())
    return fail(ErrorCode::kInvalidArgument, "'distil': expected 'teacher', a model folder");
  TRY(read_word(json, "from", job_words("distil.from"), job.from));
  TRY(read_number(json, "temperature", 0.01, 100, job.temperature));
  TRY(read_number(json, "alpha", 0, 1, job.alpha));
  TRY(read_int(json, "top_k", 0, 1 << 22, job.top_k));
  TRY(read_int(json, "max_new_tokens", 1, 1 << 17, job.max_new_tokens));
  for (const char* key : {"alpha", "top_k"})
    if (job.from == "sequences" && json_find(json, key) != nullptr)
      return fail(ErrorCode::kInvalidArgument, "'{}' is of no use with 'from': \"sequences\"", key);
  return job;
}

Result<SampledCorpus> parse_sampled_corpus(const Json& json, const Path& folder) {
  static const std::array<std::string, 7> kKeys = {"max_tokens",   "model", "n_test",     "n_train",
                                                   "n_validation", "seed",  "temperature"};
  if (!json.is_object()) return fail(ErrorCode::kInvalidArgument, "expected an object 'sampled'");
  TRY(check_keys(json.as_object(), kKeys, " in 'sampled'"));
  SampledCorpus how;
  TRY(read_path(json, "model", folder, how.model));
  if (how.model.empty())
    return fail(ErrorCode::kInvalidArgument, "'sampled': expected 'model', a model folder");
  TRY(read_int(json, "n_train", 1, 1 << 22, how.n_train));
  TRY(read_int(json, "n_validation", 0, 1 << 20, how.n_validation));
  TRY(read_int(json, "n_test", 0, 1 << 20, how.n_test));
  TRY(read_int(json, "max_tokens", 2, 1 << 17, how.max_tokens));
  TRY(read_number(json, "temperature", 0.01, 100, how.temperature));
  TRY(read_int(json, "seed", 0, INT64_MAX / 2, how.seed));
  return how;
}

}  // namespace volant
