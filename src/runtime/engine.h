// Engine: one loaded model that answers several requests at once. A worker
// thread of its own packs prompts (prefill) and next tokens (decode) of all
// live requests into batches. Thread safe. Knows ids and text; knows no HTTP.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/checkpoint.h"
#include "tensor/dtype.h"

namespace volant {

struct EngineOptions {
  int n_threads = 0;      // 0: all cores
  int n_slots = 8;        // requests that run at once; further ones wait
  int n_ctx = 0;          // tokens a request can have; 0: the model's own, at most 4096
  size_t max_queue = 64;  // waiting requests; one more is kUnavailable
  // How keys and values are kept: kF32; kF16 in half of the memory, which moves the losses of single tokens
  // by up to a hundredth; or kQ8_0 in a quarter, by some tenths.
  DType kv_dtype = DType::kF32;
  // Bytes for keys and values of all requests and of texts that are kept for the next one; 0: what n_slots
  // requests of n_ctx tokens take. When they run out, the youngest request is put back and read again later.
  uint64_t kv_bytes = 0;
  // Speculative decoding: next tokens are guessed and checked together in one step. Answers do not change.
  bool guess_from_text = true;     // by what followed the last tokens when they stood in the text before
  std::optional<Path> draft = {};  // and by a smaller model with the same vocabulary
  // Tokens of prompts that are read together with the next tokens of the others; 0: default_prompt_rows.
  int max_prompt_rows = 0;
  // Folders in PEFT's layout: adapter number 1, 2, ... of requests, applied beside the weights.
  std::vector<Path> adapters = {};
};

// Rows enough that it costs little to read the weights anew for each piece of a prompt: 256 of quantised
// weights, 512 of others. Buffers grow with them, and more fall out of the cache.
int default_prompt_rows(const Checkpoint& checkpoint);

// As in the OpenAI schema. temperature 0 is greedy.
struct SamplingOptions {
  double temperature = 1, top_p = 1, min_p = 0;
  double typical_p = 1;  // share of the probability that tokens of nearly the expected surprise keep
  int top_k = 0;         // 0: off
  double presence_penalty = 0, frequency_penalty = 0, repetition_penalty = 1;
  std::optional<uint64_t> seed = {};
  std::map<int32_t, double> logit_bias = {};
};

struct GenerateRequest {
  std::vector<int32_t> prompt = {};
  int max_tokens = 128;
  SamplingOptions sampling = {};
  std::vector<std::string> stop = {};  // texts that end the answer and are not part of it
  bool ignore_stop_ids = false;        // go on past the model's own end
  int32_t adapter = 0;                 // number of one of EngineOptions::adapters; 0: the model alone
  int logprobs = -1;                   // -1: none; n: the chosen token's and the n best (at most 20)
};

struct TokenLogprob {
  int32_t id = 0;
  double logprob = 0;
};
// One step of an answer. `text` is whole UTF-8 characters and never holds part of a stop text.
struct GenerateEvent {
  std::string text;
  int32_t id = -1;                      // -1: text only (held back before)
  std::optional<TokenLogprob> logprob;  // of the chosen token
  std::vector<TokenLogprob> top;
};
enum class FinishReason { kStop, kLength, kCancelled, kError };
// "stop", "length", "cancelled" or "error".
const char* finish_reason_name(FinishReason reason);

struct GenerateResult {
  std::string text;
  std::vector<int32_t> ids;  // generated, the ending id left out
  FinishReason finish = FinishReason::kStop;
  int64_t prompt_tokens = 0, completion_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  std::optional<Error> error;
};

// How well the model foresees given ids.
struct Score {
  std::vector<float> nll;     // n - 1: of ids[t + 1] given ids[0 .. t], natural logarithm
  std::vector<bool> correct;  // n - 1: ids[t + 1] was the most likely one
};

struct EngineStats {
  int active = 0, waiting = 0;
  uint64_t prompt_tokens = 0, completion_tokens = 0, requests = 0;  // prompt tokens that were read
  uint64_t shared_tokens = 0;  // of prompts, that stood in the cache already
  uint64_t preemptions = 0;    // requests put back because the pages ran out
  uint64_t steps = 0, guessed_tokens = 0, right_guesses = 0;
  int64_t kv_pages = 0, kv_pages_held = 0;  // of 64 tokens each; held by requests that run
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const Path& model, const EngineOptions& options = {});
  // The same for one that is open already.
  static Result<std::unique_ptr<Engine>> open(Checkpoint checkpoint, const EngineOptions& options);
  ~Engine();  // cancels what runs

  // Starts a request and returns its number. `on_event` runs on the engine's thread, once a token, and says
  // false to cancel; `on_done` runs exactly once, last. Errors: kInvalidArgument (empty prompt, longer than
  // the context, ids out of range), kUnavailable (queue full).
  using OnEvent = std::function<bool(const GenerateEvent&)>;
  using OnDone = std::function<void(const GenerateResult&)>;
  Result<uint64_t> submit(GenerateRequest request, OnEvent on_event, OnDone on_done);
  void cancel(uint64_t request);
  // submit and wait.
  Result<GenerateResult> generate(GenerateRequest request, const OnEvent& on_event = {});

  // Scores a text of at least 2 ids, at most n_ctx. Runs between the batches of live requests.
  Result<Score> score(std::span<const int32_t> ids);
  // All logits [ids.size(), n_vocab], row-major: for parity checks.
  Result<std::vector<float>> logits(std::span<const int32_t> ids, int32_t adapter = 0);

  // Other weights for the same model, for one that is in training: waits for the requests that run, holds
  // back those that wait, and forgets what was read with the old weights. `source` as in
  // NativeModel::set_weights.
  using TensorSource = std::function<Result<TensorView>(const TensorSpec&)>;
  Status set_weights(const TensorSource& source);

  // Prompt ids of a conversation, through the model's chat template.
  Result<std::vector<int32_t>> encode_chat(const JsonArray& messages) const;

  const Tokenizer& tokenizer() const;
  const ModelConfig& config() const;
  const Checkpoint& checkpoint() const;
  int n_ctx() const;
  EngineStats stats() const;

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace volant
