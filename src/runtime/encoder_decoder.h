// EncoderDecoder: one loaded model that writes from a source (T5). One answer at a time; the source is read
// once and the cache holds it. Thread safe.
#pragma once
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "models/checkpoint.h"
#include "models/instances/native.h"
#include "runtime/engine.h"

namespace volant {

class EncoderDecoder {
 public:
  // options.n_ctx: tokens of the source and of the answer, each; 0: 512. n_slots and max_queue do not count.
  static Result<std::unique_ptr<EncoderDecoder>> open(const Path& model, const EngineOptions& options = {});

  // `request.prompt`: the source as ids. Errors and result as in Engine.
  Result<GenerateResult> generate(GenerateRequest request, const Engine::OnEvent& on_event = {});

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  int n_ctx() const { return n_ctx_; }

 private:
  EncoderDecoder(Checkpoint checkpoint, std::unique_ptr<NativeModel> model, std::unique_ptr<Tokenizer> text,
                 int n_ctx);
  Status check(const GenerateRequest& request) const;
  // Logits after the last of `written`; `source` is given at the first step alone.
  std::span<const float> step(std::span<const int32_t> written, std::span<const int32_t> source,
                              int32_t source_length);

  Checkpoint checkpoint_;
  std::unique_ptr<NativeModel> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unordered_set<int32_t> stop_ids_;
  int n_ctx_;
  std::mutex mutex_;
};

}  // namespace volant
