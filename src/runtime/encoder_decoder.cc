#include "runtime/encoder_decoder.h"

#include <numeric>

#include "runtime/answer.h"

namespace volant {

namespace {
constexpr int kDefaultContext = 512, kMaxContext = 1 << 16;
}  // namespace

EncoderDecoder::EncoderDecoder(Checkpoint checkpoint, std::unique_ptr<NativeModel> model,
                               std::unique_ptr<Tokenizer> text, int n_ctx)
    : checkpoint_(std::move(checkpoint)),
      model_(std::move(model)),
      tokenizer_(std::move(text)),
      n_ctx_(n_ctx) {
  const std::vector<int32_t> ids = checkpoint_.stop_ids();
  stop_ids_.insert(ids.begin(), ids.end());
}

Result<std::unique_ptr<EncoderDecoder>> EncoderDecoder::open(const Path& path, const EngineOptions& options) {
  Checkpoint checkpoint = TRY(Checkpoint::open(path));
  if (!checkpoint.config().has_source())
    return fail(ErrorCode::kUnsupported, "{} is no encoder-decoder", checkpoint.config().architecture)
        .at(path.string());
  const int n_ctx = options.n_ctx == 0 ? kDefaultContext : options.n_ctx;
  if (n_ctx < 2 || n_ctx > kMaxContext)
    return fail(ErrorCode::kInvalidArgument, "'n_ctx' is {}, expected 2 to {}", n_ctx, kMaxContext);
  std::unique_ptr<Tokenizer> tokenizer = TRY(checkpoint.tokenizer());
  checkpoint.forget_text();
  std::unique_ptr<NativeModel> model =
      TRY(NativeModel::load(checkpoint, {.n_threads = options.n_threads, .n_slot = 1, .n_ctx = n_ctx}));
  return std::unique_ptr<EncoderDecoder>(
      new EncoderDecoder(std::move(checkpoint), std::move(model), std::move(tokenizer), n_ctx));
}

Status EncoderDecoder::check(const GenerateRequest& request) const {
  if (request.prompt.empty() || std::cmp_greater(request.prompt.size(), n_ctx_))
    return fail(ErrorCode::kInvalidArgument, "expected a source of 1 to {} tokens, got {}", n_ctx_,
                request.prompt.size());
  const int64_t n_vocab = model_->config().vocab_size;
  for (const int32_t id : request.prompt)
    if (id < 0 || id >= n_vocab)
      return fail(ErrorCode::kInvalidArgument, "token id {} is out of range, expected 0 to {}", id,
                  n_vocab - 1);
  if (request.max_tokens < 1)
    return fail(ErrorCode::kInvalidArgument, "'max_tokens' is {}, expected at least 1", request.max_tokens);
  return check_sampling(request.sampling, n_vocab);
}

std::span<const float> EncoderDecoder::step(std::span<const int32_t> written, std::span<const int32_t> source,
                                            int32_t source_length) {
  const std::vector<int32_t> token{written.back()}, pos{static_cast<int32_t>(written.size()) - 1},
      begin{0, 1}, slot{0}, row{0}, source_begin{0, static_cast<int32_t>(source.size())},
      lengths{source_length};
  std::vector<int32_t> source_pos(source.size());
  std::iota(source_pos.begin(), source_pos.end(), 0);
  return model_->logits({.tokens = token,
                         .pos = pos,
                         .seq_begin = begin,
                         .kv_slot = slot,
                         .out_rows = row,
                         .source = {.tokens = source,
                                    .pos = source_pos,
                                    .seq_begin = source_begin,
                                    .lengths = lengths,
                                    .rows = source_pos}});
}

Result<GenerateResult> EncoderDecoder::generate(GenerateRequest request, const Engine::OnEvent& on_event) {
  TRY(check(request));
  const std::vector<int32_t> source = std::move(request.prompt);
  const auto n_source = static_cast<int32_t>(source.size());
  request.prompt = {model_->config().start_token_id()};
  GenerateResult result;
  const std::lock_guard lock(mutex_);
  Answer answer(
      std::move(request), on_event, [&](const GenerateResult& done) { result = done; }, *tokenizer_,
      stop_ids_, n_ctx_);
  answer.mark_start();
  std::optional<FinishReason> end;
  for (bool first = true; !end; first = false) {
    answer.draw(step(answer.ids(), first ? std::span(source) : std::span<const int32_t>(), n_source), {});
    end = answer.step();
  }
  answer.finish(*end);
  result.prompt_tokens = n_source;
  return result;
}

}  // namespace volant
