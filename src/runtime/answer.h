// One request while it is answered: from sampled tokens to text events, stop texts and the reason for its
// end. Knows nothing of batches and slots.
#pragma once
#include <algorithm>
#include <atomic>
#include <unordered_set>

#include "runtime/engine.h"
#include "runtime/ngram_draft.h"
#include "runtime/sampler.h"
#include "runtime/stop_text.h"

namespace volant {

class Answer {
 public:
  // `stop_ids` and `tokenizer` outlive the answer. `n_ctx`: tokens that prompt and answer may have together.
  Answer(GenerateRequest request, Engine::OnEvent on_event, Engine::OnDone on_done,
         const Tokenizer& tokenizer, const std::unordered_set<int32_t>& stop_ids, int n_ctx);

  // The prompt so far and what was generated.
  const std::vector<int32_t>& ids() const { return ids_; }
  int64_t n_prompt() const { return n_prompt_; }
  int32_t adapter() const { return request_.adapter; }
  // Tokens that may still come, at most.
  int64_t n_more() const {
    return std::min<int64_t>(request_.max_tokens - std::ssize(result_.ids), n_ctx_ - std::ssize(ids_));
  }
  // Who guesses what follows ids(): the text itself, and how many tokens a draft model should.
  NgramDraft& from_text() { return from_text_; }
  GuessLength& by_model() { return by_model_; }
  // Chooses the token after ids(), and the one after each guessed token as long as the guesses are what was
  // chosen. `logits`: [1 + guess.size(), n_vocab]. Calls nobody: answers may draw at once, each on a thread.
  void draw(std::span<const float> logits, std::span<const int32_t> guess);
  bool has_drawn() const { return n_taken_ < drawn_.size(); }
  // Takes the next token that was drawn; gives the reason when that ends the answer.
  std::optional<FinishReason> step();
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  // Shows what was held back and calls on_done. Once, last.
  void finish(FinishReason reason);
  void mark_start();  // the prompt begins to be read; the first time counts

 private:
  struct Drawn {
    Result<int32_t> id;
    std::optional<TokenLogprob> logprob;
    std::vector<TokenLogprob> top;
  };
  void emit(const GenerateEvent& event);

  GenerateRequest request_;
  Engine::OnEvent on_event_;
  Engine::OnDone on_done_;
  const std::unordered_set<int32_t>& stop_ids_;
  int n_ctx_;
  int64_t n_prompt_;
  std::vector<int32_t> ids_;
  Sampler sampler_;
  std::vector<Drawn> drawn_;
  size_t n_taken_ = 0;  // of drawn_
  NgramDraft from_text_;
  GuessLength by_model_{8};
  StreamDecoder decoder_;
  StopText stop_text_;
  GenerateResult result_;
  double started_ = 0, first_token_ = 0;
  bool has_started_ = false;
  bool wants_more_ = true;  // what on_event said last
  std::atomic<bool> cancelled_{false};
};

}  // namespace volant
