#include "train/predict_job.h"

#include <array>

#include "data/job_words.h"
#include "train/job_fields.h"

namespace volant {
namespace {

Status read_adversarial(const Json& json, PredictJob& job) {
  static const std::array<std::string, 2> kKeys = {"epsilon", "share"};
  if (json_find(json, "adversarial") == nullptr) return {};
  const Json& own = *TRY(object_of(json, "adversarial"));
  TRY(check_keys(own.as_object(), kKeys, " in 'adversarial'"));
  TRY(json_number(own, "epsilon"));
  TRY(read_number(own, "epsilon", 0, 1e6, job.adversarial_epsilon));
  return read_number(own, "share", 1e-6, 1, job.adversarial_share);
}

}  // namespace

Result<PredictJob> parse_predict_job(const Json& json) {
  PredictJob job;
  TRY(check_keys(json.as_object(), predict_keys(), " in 'predict'"));
  if (json_find(json, "loss") != nullptr) TRY(read_word(json, "loss", job_words("predict.loss"), job.loss));
  if (json_find(json, "focal_gamma") != nullptr && job.loss != "focal")
    return fail(ErrorCode::kInvalidArgument, "'focal_gamma' is of no use without \"loss\": \"focal\"");
  TRY(read_number(json, "focal_gamma", 0, 20, job.focal_gamma));
  job.class_weights = TRY(parse_class_weights(json));
  TRY(read_int(json, "batch_size", 1, 1 << 20, job.batch_size));
  if (json_find(json, "augment") != nullptr) job.augment = TRY(object_of(json, "augment"))->as_object();
  TRY(read_number(json, "input_noise", 0, 1e6, job.input_noise));
  TRY(read_number(json, "gradient_noise", 0, 1e6, job.gradient_noise));
  TRY(read_number(json, "l1", 0, 1e6, job.l1));
  TRY(read_word(json, "judge_by", job_words("predict.judge_by"), job.judge_by));
  TRY(read_adversarial(json, job));
  return job;
}

}  // namespace volant
