// Two models on the same texts: the proof that an export is still the same model.
#pragma once
#include <span>

#include "compress/export.h"
#include "runtime/engine.h"

namespace volant {

// What `to` must keep. f32 changes nothing, so its greedy choices must all agree.
struct ParityBound {
  double max_mean_kl;
  double max_logit_error;  // infinite: not asked
  double min_greedy_agreement;
};
ParityBound parity_bound(const ExportFormat& to);

// The half of `texts` that the model foresees best (nats per byte): what a model has never learnt, it answers
// with noise, and there rounding shows more than it matters.
Result<std::vector<std::string>> best_foreseen_half(Engine& model, const std::vector<std::string>& texts);

// Reads the texts with both, the original with its adapter of that number; kRefused when their vocabularies
// give different ids, their chat templates different prompts, or a logit is not a number.
Result<ParityReport> compare_models(Engine& original, Engine& exported, const ExportFormat& to,
                                    const std::vector<std::string>& texts, int32_t adapter = 0);

}  // namespace volant
