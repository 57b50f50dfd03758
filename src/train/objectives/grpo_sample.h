// One answer that GRPO learns from, and how a checkpoint keeps it.
#pragma once
#include <cstdint>
#include <vector>

#include "base/json.h"

namespace volant {

struct GrpoSample {
  std::vector<int32_t> ids;  // prompt and answer
  int64_t n_prompt = 0;
  double reward = 0, advantage = 0;
  bool ended = false;
  std::vector<double> old, reference;  // log-probabilities of the answer's ids; empty: not known, not wanted
  size_t n_answer() const { return ids.size() - static_cast<size_t>(n_prompt); }
};

// Numbers as their bits: decimals that are read back may differ in the last one.
Json to_json(const GrpoSample& sample);
// kParse where it is no answer of a model with so many words.
Result<GrpoSample> grpo_sample(const Json& json, int64_t n_vocab);

}  // namespace volant
