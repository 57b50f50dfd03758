#include "runtime/engine.h"

#include <malloc.h>

#include <algorithm>
#include <future>
#include <unordered_set>

#include "kernels/kernels.h"
#include "models/instances/native.h"
#include "runtime/chat_encoder.h"
#include "runtime/draft_model.h"
#include "runtime/scheduler.h"

namespace volant {
namespace {

constexpr int64_t kDefaultMaxContext = 4096;
constexpr int kMaxSlots = 1024, kMaxTopLogprobs = 20;
constexpr int kMaxPages = 1 << 22, kMaxPromptRows = 1 << 16;
constexpr size_t kMaxStops = 64, kMaxStopBytes = 1024;

Result<int64_t> choose_context(const EngineOptions& options, const ModelConfig& config) {
  const int64_t most = config.max_position_embeddings;
  if (options.n_ctx == 0) return std::min(most, kDefaultMaxContext);
  if (options.n_ctx < 2 || options.n_ctx > most) {
    return fail(ErrorCode::kInvalidArgument, "'n_ctx' is {}, expected 2 to {}, the model's own",
                options.n_ctx, most);
  }
  return options.n_ctx;
}

// Pages of the cache, within the bytes that are given. One text of n_ctx tokens must have room.
Result<int32_t> choose_pages(const EngineOptions& options, const ModelConfig& config, int64_t n_ctx) {
  const bool known =
      options.kv_dtype == DType::kF32 || options.kv_dtype == DType::kF16 || options.kv_dtype == DType::kQ8_0;
  if (!known) {
    return fail(ErrorCode::kInvalidArgument, "keys and values are kept as f32, f16 or q8_0, not as {}",
                dtype_info(options.kv_dtype).name);
  }
  const int64_t each = (n_ctx + PagePool::kPage - 1) / PagePool::kPage;
  if (options.kv_bytes == 0) return static_cast<int32_t>((options.n_slots + 1) * each);
  const auto page_bytes = static_cast<uint64_t>(NativeModel::page_bytes(config, options.kv_dtype));
  const uint64_t n_page = options.kv_bytes / page_bytes, least = static_cast<uint64_t>(each);
  if (n_page < least) {
    return fail(ErrorCode::kInvalidArgument,
                "{:.1f} MB for keys and values hold {} tokens, one request may have {}: give at least {:.1f} "
                "MB or a smaller 'n_ctx'",
                static_cast<double>(options.kv_bytes) * 1e-6, n_page * PagePool::kPage, n_ctx,
                static_cast<double>(least * page_bytes) * 1e-6);
  }
  return static_cast<int32_t>(std::min<uint64_t>(n_page, kMaxPages));
}

}  // namespace

const char* finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      break;
  }
  return "error";
}

class Engine::Impl {
 public:
  Impl(Checkpoint checkpoint_in, std::unique_ptr<NativeModel> model_in, std::unique_ptr<DraftModel> draft_in,
       std::unique_ptr<Tokenizer> tokenizer_in, const EngineOptions& options, int64_t n_ctx_in,
       int32_t n_page)
      : checkpoint(std::move(checkpoint_in)),
        model(std::move(model_in)),
        draft(std::move(draft_in)),
        tokenizer(std::move(tokenizer_in)),
        chat(*tokenizer, checkpoint.chat_template()),
        n_ctx(static_cast<int>(n_ctx_in)),
        n_adapters(static_cast<int32_t>(options.adapters.size())),
        scheduler(*model, {.n_slots = options.n_slots,
                           .n_page = n_page,
                           .max_queue = options.max_queue,
                           .max_prompt_rows = options.max_prompt_rows > 0 ? options.max_prompt_rows
                                                                          : default_prompt_rows(checkpoint),
                           .guess_from_text = options.guess_from_text,
                           .draft = draft.get()}) {
    const std::vector<int32_t> ids = checkpoint.stop_ids(*tokenizer);
    stop_ids.insert(ids.begin(), ids.end());
  }

  Status check_ids(std::span<const int32_t> ids, size_t least, size_t most) const;
  Status check(const GenerateRequest& request) const;
  Status check_adapter(int32_t number) const;

  Checkpoint checkpoint;
  std::unique_ptr<NativeModel> model;
  std::unique_ptr<DraftModel> draft;  // may be null
  std::unique_ptr<Tokenizer> tokenizer;
  ChatEncoder chat;
  std::unordered_set<int32_t> stop_ids;
  int n_ctx;
  int32_t n_adapters;
  Scheduler scheduler;  // last: its thread uses the rest
};

Status Engine::Impl::check_ids(std::span<const int32_t> ids, size_t least, size_t most) const {
  if (ids.size() < least)
    return fail(ErrorCode::kInvalidArgument, "expected at least {} tokens, got {}", least, ids.size());
  if (ids.size() > most) {
    return fail(ErrorCode::kInvalidArgument, "{} tokens are too long: the context holds at most {}",
                ids.size(), most);
  }
  const int64_t n_vocab = model->config().vocab_size;
  for (const int32_t id : ids) {
    if (id < 0 || id >= n_vocab) {
      return fail(ErrorCode::kInvalidArgument, "token id {} is out of range, expected 0 to {}", id,
                  n_vocab - 1);
    }
  }
  return {};
}

Status Engine::Impl::check_adapter(int32_t number) const {
  if (number >= 0 && number <= n_adapters) return {};
  return fail(ErrorCode::kInvalidArgument, "'adapter' is {}, expected at most {}", number, n_adapters);
}

Status Engine::Impl::check(const GenerateRequest& request) const {
  // One place stays for the answer.
  TRY(check_ids(request.prompt, 1, static_cast<size_t>(n_ctx) - 1));
  TRY(check_adapter(request.adapter));
  TRY(check_sampling(request.sampling, model->config().vocab_size));
  if (request.max_tokens < 1) {
    return fail(ErrorCode::kInvalidArgument, "'max_tokens' is {}, expected at least 1", request.max_tokens);
  }
  if (request.logprobs > kMaxTopLogprobs) {
    return fail(ErrorCode::kInvalidArgument, "'logprobs' is {}, expected at most {}", request.logprobs,
                kMaxTopLogprobs);
  }
  const bool long_stop =
      std::ranges::any_of(request.stop, [](const std::string& s) { return s.size() > kMaxStopBytes; });
  if (request.stop.size() > kMaxStops || long_stop) {
    return fail(ErrorCode::kInvalidArgument, "'stop' must be at most {} texts of at most {} bytes", kMaxStops,
                kMaxStopBytes);
  }
  return {};
}

int default_prompt_rows(const Checkpoint& checkpoint) {
  const auto dtype = dtype_from_name(checkpoint.dtype_name());
  return dtype && is_quantised(*dtype) ? 256 : 512;
}

Result<std::unique_ptr<Engine>> Engine::open(const Path& path, const EngineOptions& options) {
  return open(TRY(Checkpoint::open(path)), options);
}

Result<std::unique_ptr<Engine>> Engine::open(Checkpoint checkpoint, const EngineOptions& options) {
  if (options.n_slots < 1 || options.n_slots > kMaxSlots) {
    return fail(ErrorCode::kInvalidArgument, "'n_slots' is {}, expected 1 to {}", options.n_slots, kMaxSlots);
  }
  if (options.max_prompt_rows < 0 || options.max_prompt_rows > kMaxPromptRows) {
    return fail(ErrorCode::kInvalidArgument, "'max_prompt_rows' is {}, expected 0 (by the model) to {}",
                options.max_prompt_rows, kMaxPromptRows);
  }
  if (!checkpoint.config().is_decoder()) {
    const ModelOutput output = checkpoint.config().output;
    return fail(ErrorCode::kUnsupported, "{} does not go on with a text: it {}",
                checkpoint.config().architecture,
                checkpoint.config().has_source() ? "writes from a source, see 'volant chat --raw'"
                : output == ModelOutput::kHidden ? "gives embeddings, see 'volant embed'"
                : output == ModelOutput::kLabels ? "gives scores of labels"
                                                 : "fills in masked words")
        .at(checkpoint.path().string());
  }
  // The vocabulary is read while the weights are packed.
  auto reads_text = std::async(std::launch::async, [&] {
    auto made = checkpoint.tokenizer();
    malloc_trim(0);  // else what reading took stays with this thread's part of the heap
    return made;
  });
  const int64_t n_ctx = TRY(choose_context(options, checkpoint.config()));
  const int32_t n_page = TRY(choose_pages(options, checkpoint.config(), n_ctx));
  std::unique_ptr<NativeModel> model = TRY(NativeModel::load(
      checkpoint, {.n_threads = options.n_threads, .n_page = n_page, .kv_dtype = options.kv_dtype}));
  for (const Path& folder : options.adapters) {
    auto added = model->add_adapter(TRY(read_adapter(folder, checkpoint.config())));
    if (!added) return std::move(added).error().at(folder.string());
  }
  std::unique_ptr<Tokenizer> tokenizer = TRY(reads_text.get());
  checkpoint.forget_text();
  std::unique_ptr<DraftModel> draft;
  if (options.draft)
    draft = TRY(DraftModel::open(*options.draft, *tokenizer, checkpoint.config().vocab_size,
                                 options.n_threads, options.n_slots, n_ctx));
  return std::unique_ptr<Engine>(
      new Engine(std::make_unique<Impl>(std::move(checkpoint), std::move(model), std::move(draft),
                                        std::move(tokenizer), options, n_ctx, n_page)));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<uint64_t> Engine::submit(GenerateRequest request, OnEvent on_event, OnDone on_done) {
  TRY(impl_->check(request));
  return impl_->scheduler.submit(std::make_unique<Answer>(std::move(request), std::move(on_event),
                                                          std::move(on_done), *impl_->tokenizer,
                                                          impl_->stop_ids, impl_->n_ctx));
}

void Engine::cancel(uint64_t request) { impl_->scheduler.cancel(request); }

Result<GenerateResult> Engine::generate(GenerateRequest request, const OnEvent& on_event) {
  std::promise<GenerateResult> promise;
  std::future<GenerateResult> result = promise.get_future();
  TRY(submit(std::move(request), on_event, [&](const GenerateResult& done) { promise.set_value(done); }));
  return result.get();
}

Result<Score> Engine::score(std::span<const int32_t> ids) {
  TRY(impl_->check_ids(ids, 2, static_cast<size_t>(impl_->n_ctx)));
  const auto n_vocab = static_cast<size_t>(config().vocab_size);
  Score score;
  TRY(impl_->scheduler.read_through(ids, [&](int64_t first, std::span<const float> logits) {
    for (size_t i = 0; i < logits.size() / n_vocab; ++i) {
      const size_t next = static_cast<size_t>(first) + i + 1;
      if (next >= ids.size()) return;
      const std::span<const float> row = logits.subspan(i * n_vocab, n_vocab);
      score.nll.push_back(static_cast<float>(-logprob_of(row, ids[next]).logprob));
      score.correct.push_back(kernels().argmax(row.data(), static_cast<int64_t>(n_vocab)) == ids[next]);
    }
  }));
  return score;
}

Result<std::vector<float>> Engine::logits(std::span<const int32_t> ids, int32_t adapter) {
  TRY(impl_->check_adapter(adapter));
  TRY(impl_->check_ids(ids, 1, static_cast<size_t>(impl_->n_ctx)));
  std::vector<float> all;
  TRY(impl_->scheduler.read_through(
      ids,
      [&](int64_t, std::span<const float> logits) { all.insert(all.end(), logits.begin(), logits.end()); },
      adapter));
  return all;
}

Status Engine::set_weights(const TensorSource& source) {
  if (impl_->n_adapters > 0)
    return fail(ErrorCode::kInvalidArgument, "an engine with adapters takes no other weights");
  return impl_->scheduler.change_model([&] { return impl_->model->set_weights(source); });
}

Result<std::vector<int32_t>> Engine::encode_chat(const JsonArray& messages) const {
  return impl_->chat.encode(messages);
}

const Tokenizer& Engine::tokenizer() const { return *impl_->tokenizer; }
const ModelConfig& Engine::config() const { return impl_->model->config(); }
const Checkpoint& Engine::checkpoint() const { return impl_->checkpoint; }
int Engine::n_ctx() const { return impl_->n_ctx; }
EngineStats Engine::stats() const { return impl_->scheduler.stats(); }

}  // namespace volant
