// Settings of "grpo": answers that the model samples itself, rewarded by a rule (train/objectives/grpo.h).
#pragma once
#include <string>

#include "base/json.h"

namespace volant {

struct GrpoJob {
  int64_t prompts_per_step = 8, group_size = 8;  // answers sampled for each prompt
  int64_t inner_epochs = 1;                      // optimiser steps on the same answers
  int64_t max_new_tokens = 64;                   // of an answer
  double clip = 0.2;                             // of the ratio of probabilities
  double beta = 0;                               // weight of the distance to the model of the start; 0: none
  std::string reward = "exact_match";            // names in train/objectives/reward.h
  std::string pattern;                           // of the reward "regex"
  int64_t evaluate_prompts = 256;                // at most so many of the validation rows at a time
};

Result<GrpoJob> parse_grpo_job(const Json& json);

}  // namespace volant
