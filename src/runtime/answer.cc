#include "runtime/answer.h"

#include <utility>

#include "base/clock.h"

namespace volant {

Answer::Answer(GenerateRequest request, Engine::OnEvent on_event, Engine::OnDone on_done,
               const Tokenizer& tokenizer, const std::unordered_set<int32_t>& stop_ids, int n_ctx)
    : request_(std::move(request)),
      on_event_(std::move(on_event)),
      on_done_(std::move(on_done)),
      stop_ids_(stop_ids),
      n_ctx_(n_ctx),
      n_prompt_(static_cast<int64_t>(request_.prompt.size())),
      ids_(std::move(request_.prompt)),
      sampler_(request_.sampling, ids_),
      decoder_(tokenizer, ids_.empty() || tokenizer.is_special(ids_.back())),
      stop_text_(request_.stop) {
  result_.prompt_tokens = n_prompt_;
  started_ = first_token_ = steady_seconds();
}

void Answer::mark_start() {
  if (!std::exchange(has_started_, true)) started_ = first_token_ = steady_seconds();
}

void Answer::emit(const GenerateEvent& event) {
  result_.text += event.text;
  if (wants_more_ && on_event_) wants_more_ = on_event_(event);
}

void Answer::draw(std::span<const float> logits, std::span<const int32_t> guess) {
  const size_t n_vocab = logits.size() / (guess.size() + 1);
  drawn_.clear();
  n_taken_ = 0;
  for (size_t i = 0; i <= guess.size(); ++i) {
    const std::span<const float> row = logits.subspan(i * n_vocab, n_vocab);
    Drawn& drawn = drawn_.emplace_back(Drawn{.id = sampler_.sample(row), .logprob = {}, .top = {}});
    if (!drawn.id) return;
    if (request_.logprobs >= 0) {
      drawn.logprob = logprob_of(row, *drawn.id);
      drawn.top = top_logprobs(row, request_.logprobs);
    }
    if (i < guess.size() && *drawn.id != guess[i]) return;
  }
}

std::optional<FinishReason> Answer::step() {
  if (result_.ids.empty()) first_token_ = steady_seconds();
  Drawn& drawn = drawn_[n_taken_++];
  if (!drawn.id) {
    result_.error = drawn.id.error();
    return FinishReason::kError;
  }
  const int32_t id = *drawn.id;
  if (!request_.ignore_stop_ids && stop_ids_.contains(id)) return FinishReason::kStop;
  ids_.push_back(id);
  result_.ids.push_back(id);
  emit({.text = stop_text_.push(decoder_.push(id)),
        .id = id,
        .logprob = drawn.logprob,
        .top = std::move(drawn.top)});
  if (!wants_more_) return FinishReason::kCancelled;
  if (stop_text_.found()) return FinishReason::kStop;
  const bool full = static_cast<int>(ids_.size()) >= n_ctx_;
  if (full || static_cast<int>(result_.ids.size()) >= request_.max_tokens) return FinishReason::kLength;
  return std::nullopt;
}

void Answer::finish(FinishReason reason) {
  std::string rest = stop_text_.push(decoder_.finish());
  rest += stop_text_.finish();
  if (!rest.empty() && reason != FinishReason::kCancelled) {
    emit({.text = std::move(rest), .id = -1, .logprob = {}, .top = {}});
  }
  const double now = steady_seconds();
  result_.finish = reason;
  result_.completion_tokens = static_cast<int64_t>(result_.ids.size());
  result_.prefill_seconds = first_token_ - started_;
  result_.decode_seconds = now - first_token_;
  if (on_done_) on_done_(result_);
}

}  // namespace volant
