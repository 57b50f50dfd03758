// "preference" of job.json: which loss on pairs or judgements, and its numbers.
#pragma once
#include "base/json.h"

namespace volant {

struct PreferenceJob {
  enum class Loss { kDpo, kIpo, kKto, kOrpo, kSimpo };
  Loss loss = Loss::kDpo;
  double beta = 0.1;           // strength; kSimpo: 2; kOrpo: weight of the odds ratio
  double gamma = 1;            // kSimpo: margin that the chosen answer should lead by
  double label_smoothing = 0;  // kDpo: share of the pairs that are taken to be labelled the wrong way round
  double desirable_weight = 1, undesirable_weight = 1;  // kKto

  std::string loss_name() const;
  // Whether the starting model's log-probabilities are part of the loss.
  bool needs_reference() const { return loss == Loss::kDpo || loss == Loss::kIpo || loss == Loss::kKto; }
};

// {"loss": "dpo" | "ipo" | "kto" | "orpo" | "simpo", "beta", "gamma", "label_smoothing", "desirable_weight",
// "undesirable_weight"}. A number that the loss does not use is refused.
Result<PreferenceJob> parse_preference_job(const Json& json);

}  // namespace volant
