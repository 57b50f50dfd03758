// Parity: whether two forms of a model (exported, merged, quantised) are the same model. They read the same
// texts, and the same conversations through their chat templates; what differs is counted here, and judged by
// who asked (compress/parity.h, train/merge_parity.h).
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace volant {

struct ParityReport {
  std::string format;           // "f32", "q8_0", "q4_K_M"
  double greedy_agreement = 0;  // share of positions whose most likely next token is the same, 0 to 1
  double mean_kl = 0;           // of distributions, original to exported, nats; hidden states: 1 - cosine
  double max_logit_error = 0;
  int64_t positions = 0;
  int64_t conversations = 0;  // whose prompts, through the chat templates, are the same; others are refused
  bool passed = false;
  double max_mean_kl_allowed = 0;
  double max_logit_error_allowed = 0;           // 0: not asked
  uint64_t bytes = 0;                           // of the exported file
  std::map<std::string, int64_t> tensors = {};  // GGUF: how many of each number type
  std::vector<std::string> notes = {};          // what is not as the format's name says, and why
};
Json to_json(const ParityReport& report);

// English and Chinese texts for models that come with none of their own.
const std::vector<std::string>& built_in_parity_texts();

// Adds one position to the sums of a report:
// logits of the original and of the exported model, [n_vocab] each, or hidden states.
struct ParitySums {
  double kl = 0, max_logit_error = 0;
  int64_t positions = 0, agreeing = 0;
  void add(std::span<const float> original, std::span<const float> exported);
  void add_hidden(std::span<const float> original, std::span<const float> exported);
};
bool all_finite(std::span<const float> logits);

// The ids of a conversation as a model's chat template renders it.
using PromptOf = std::function<Result<std::vector<int32_t>>(const JsonArray& messages)>;
// How many built-in conversations (with and without a system message, of several turns, in English and
// Chinese, with what looks like a special token) both give the same ids of, or the same refusal: all of them.
// kRefused names the first that differs.
Result<int64_t> compare_prompts(const PromptOf& original, const PromptOf& exported);

}  // namespace volant
