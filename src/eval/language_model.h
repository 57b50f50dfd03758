// How well a language model foresees texts it has not seen: bits per byte and next-token accuracy, each with
// a bootstrap confidence interval over documents, in all and per language.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "eval/statistics.h"
#include "runtime/engine.h"

namespace volant {

struct EvalDocument {
  std::string text;
  std::string language;  // empty: unknown
};

// What one document adds to the sums.
struct DocumentScore {
  std::string language;
  double bits = 0;
  int64_t bytes = 0, tokens = 0, correct = 0;
};

struct EvalGroup {
  Estimate bits_per_byte, next_token_accuracy, perplexity;  // perplexity per token
  int64_t documents = 0, bytes = 0, tokens = 0;
};

struct LanguageEvalOptions {
  int bootstrap_samples = 1000;
  uint64_t seed = 1;
  std::vector<std::string> sample_prompts;  // continued greedily and shown in the report
  int sample_tokens = 48;
  std::function<void(uint64_t done, uint64_t total)> on_progress;  // after every document
};

struct EvalSample {
  std::string prompt, continuation;
};

struct LanguageEvalReport {
  EvalGroup all;
  std::map<std::string, EvalGroup> by_language;
  std::vector<DocumentScore> documents;  // in the order given
  std::vector<EvalSample> samples;
};

// Texts longer than the context are scored in windows that overlap by half: each token once, with at least
// half a context before it. A text begins after bos, or eos where the vocabulary has no bos; where it has
// neither, its first token and the bytes of it are left out. kInvalidArgument when there is nothing to score,
// kCancelled when a stop was asked for.
Result<LanguageEvalReport> evaluate_language_model(Engine& engine, const std::vector<EvalDocument>& documents,
                                                   const LanguageEvalOptions& options);

// {"bits_per_byte":{"value":..,"ci95":[..,..]},"next_token_accuracy":{..},"perplexity":{..},"documents":..,"bytes":..,
//  "tokens":..,"by_language":{"en":{...}},"samples":[{"prompt":..,"continuation":..}]}
Json to_json(const LanguageEvalReport& report);
// A page that stands alone (no script, no outside file).
std::string to_html(const LanguageEvalReport& report, const std::string& title);

}  // namespace volant
