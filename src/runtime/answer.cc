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

void Answer::emit(GenerateEvent event) {
  result_.text += event.text;
  if (wants_more_ && on_event_) wants_more_ = on_event_(event);
}

std::optional<FinishReason> Answer::step(std::span<const float> logits) {
  if (result_.ids.empty()) first_token_ = steady_seconds();
  const Result<int32_t> sampled = sampler_.sample(logits);
  if (!sampled) {
    result_.error = sampled.error();
    return FinishReason::kError;
  }
  const int32_t id = *sampled;
  if (!request_.ignore_stop_ids && stop_ids_.contains(id)) return FinishReason::kStop;
  ids_.push_back(id);
  result_.ids.push_back(id);
  GenerateEvent event{.text = stop_text_.push(decoder_.push(id)), .id = id, .logprob = {}, .top = {}};
  if (request_.logprobs >= 0) {
    event.logprob = logprob_of(logits, id);
    event.top = top_logprobs(logits, request_.logprobs);
  }
  emit(std::move(event));
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
