// Choosing the next token from logits, as the OpenAI and Hugging Face options say: logit bias, penalties,
// temperature, top-k, top-p, min-p, typical-p, in this order; the same seed gives the same choices.
#pragma once
#include <span>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "runtime/engine.h"

namespace volant {

// kInvalidArgument names the option that is out of range.
Status check_sampling(const SamplingOptions& options, int64_t n_vocab);

class Sampler {
 public:
  // `prompt` counts for the repetition penalty.
  Sampler(const SamplingOptions& options, std::span<const int32_t> prompt);
  // The next token; kInternal when the logits hold no finite number.
  Result<int32_t> sample(std::span<const float> logits);

 private:
  struct Candidate {
    float weight;  // exp((logit - largest) / temperature)
    int32_t id;
  };
  bool changes_logits() const;
  void change_logits();
  int32_t draw(std::span<const float> logits, float largest);
  void find_run_maxima();
  double kept_weight() const;  // of the candidates together
  // The candidates: all that weigh at least `least`, or of these so many of the best that top-k cuts some
  // off.
  void find_candidates(double least);
  // Leaves the candidates that top-k and top-p keep, best first, and of those the typical ones.
  void truncate(double total);
  // Leaves those of the candidates whose surprise is nearest to the expected one (Meister et al. 2022).
  void keep_typical();
  int32_t pick(double total);

  SamplingOptions options_;
  Random random_;
  std::unordered_map<int32_t, int> generated_;                        // how often
  std::unordered_map<int32_t, int> seen_;                             // prompt and generated
  std::vector<float> logits_, weights_, run_maxima_, ranked_maxima_;  // scratch
  std::vector<Candidate> candidates_;
};

// Natural logarithms of softmax(logits): of `id`, and the `n` largest, best first.
TokenLogprob logprob_of(std::span<const float> logits, int32_t id);
std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, int n);
double log_sum_exp(std::span<const float> logits);

}  // namespace volant
