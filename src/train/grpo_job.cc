#include "train/grpo_job.h"

#include <array>

#include "data/job_words.h"
#include "train/job_fields.h"
#include "train/objectives/reward.h"

namespace volant {

Result<GrpoJob> parse_grpo_job(const Json& json) {
  static const std::array<std::string, 9> kKeys = {
      "beta",           "clip",    "evaluate_prompts", "group_size", "inner_epochs",
      "max_new_tokens", "pattern", "prompts_per_step", "reward"};
  GrpoJob job;
  TRY(check_keys(json.as_object(), kKeys, " in 'grpo'"));
  TRY(read_int(json, "prompts_per_step", 1, 1 << 16, job.prompts_per_step));
  TRY(read_int(json, "group_size", 2, 1 << 10, job.group_size));
  TRY(read_int(json, "inner_epochs", 1, 1 << 10, job.inner_epochs));
  TRY(read_int(json, "max_new_tokens", 1, 1 << 17, job.max_new_tokens));
  TRY(read_number(json, "clip", 1e-6, 1e6, job.clip));
  TRY(read_number(json, "beta", 0, 1e6, job.beta));
  TRY(read_int(json, "evaluate_prompts", 1, 1 << 20, job.evaluate_prompts));
  TRY(read_word(json, "reward", job_words("grpo.reward"), job.reward));
  job.pattern = TRY(json_string_or(json, "pattern", ""));
  TRY(Reward::make(job.reward, job.pattern));
  return job;
}

}  // namespace volant
