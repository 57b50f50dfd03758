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

// Texts that are compared at most.
constexpr size_t kMaxTexts = 64;

// What the sums come to, against the bound of `to`; `conversations`: how many gave the same prompt.
ParityReport parity_report(const ParitySums& sums, const ExportFormat& to, int64_t conversations = 0);

// Reads the texts with both, the original with its adapter of that number; kRefused when their vocabularies
// give different ids, their chat templates different prompts, or a logit is not a number.
Result<ParityReport> compare_models(Engine& original, Engine& exported, const ExportFormat& to,
                                    const std::vector<std::string>& texts, int32_t adapter = 0);

// The same for models that do not go on with a text: the scores of a classifier, the hidden states of an
// encoder (1 - cosine in place of the divergence), the words of an encoder-decoder that is given the text as
// source and as what it has written.
Result<ParityReport> compare_outputs(const Checkpoint& original, const Checkpoint& exported,
                                     const ExportFormat& to, const std::vector<std::string>& texts);

}  // namespace volant
