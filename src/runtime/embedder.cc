#include "runtime/embedder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace volant {
namespace {

constexpr size_t kRowsAtOnce = 2048;  // of one pass; a longer text goes alone

Result<Pooling> pooling_of_gguf(int64_t number) {
  if (number == 1) return Pooling::kMean;
  if (number == 2) return Pooling::kFirst;
  if (number == 3) return Pooling::kLast;
  return fail(ErrorCode::kUnsupported, "'bert.pooling_type': {} is not supported: supported are 1 to 3",
              number);
}

}  // namespace

Result<std::unique_ptr<Embedder>> Embedder::open(const Path& path, const EmbedderOptions& options) {
  Checkpoint checkpoint = TRY(Checkpoint::open(path));
  const ModelConfig config = checkpoint.config();
  if (config.output != ModelOutput::kHidden) {
    return fail(ErrorCode::kUnsupported,
                "{} gives no embeddings: expected an encoder (BertModel) that gives its hidden states",
                config.architecture)
        .at(path.string());
  }
  std::unique_ptr<NativeModel> model =
      TRY(NativeModel::load(checkpoint, {.n_threads = options.n_threads, .n_slot = 0, .n_ctx = 0}));
  Result<std::unique_ptr<Tokenizer>> tokenizer = checkpoint.tokenizer();
  checkpoint.forget_text();
  std::unique_ptr<Embedder> embedder(
      new Embedder(std::move(checkpoint), std::move(model), std::move(tokenizer)));
  if (const auto* bert = std::get_if<BertFields>(&config.own); bert != nullptr && bert->gguf_pooling != 0)
    embedder->pooling_ = TRY(pooling_of_gguf(bert->gguf_pooling));
  int64_t most = config.max_position_embeddings;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    const SentenceSettings settings = TRY(read_sentence_settings(path, config.hidden_size));
    embedder->pooling_ = settings.pooling;
    embedder->normalize_ = settings.normalize;
    most = std::min(most, settings.max_seq_length.value_or(most));
  }
  if (options.max_tokens != 0) {
    if (options.max_tokens < 3 || options.max_tokens > config.max_position_embeddings)
      return fail(ErrorCode::kInvalidArgument, "'max_tokens' is {}, expected 3 to {}, the model's positions",
                  options.max_tokens, config.max_position_embeddings);
    most = options.max_tokens;
  }
  if (most < 1) return fail(ErrorCode::kParse, "'max_seq_length' is {}, expected at least 1", most);
  embedder->max_tokens_ = static_cast<int>(most);
  return embedder;
}

Result<std::vector<int32_t>> Embedder::encode(const std::string& text) const {
  if (!tokenizer_) return tokenizer_.error();
  // What people write stays text; only the vocabulary's own marks go around it.
  return (*tokenizer_)->encode(text, {.add_special = true, .parse_special = false});
}

// The beginning of a text that is too long, with the mark that ends it.
Result<std::vector<int32_t>> Embedder::cut(const std::vector<int32_t>& ids) const {
  const int64_t n_vocab = model_->config().vocab_size;
  if (ids.empty()) return fail(ErrorCode::kInvalidArgument, "expected at least one token, got none");
  for (const int32_t id : ids)
    if (id < 0 || id >= n_vocab)
      return fail(ErrorCode::kInvalidArgument, "token id {} is out of range, expected 0 to {}", id,
                  n_vocab - 1);
  std::vector<int32_t> cut(ids.begin(), ids.begin() + std::min(std::ssize(ids), std::ptrdiff_t{max_tokens_}));
  const bool has_end = tokenizer_ && (*tokenizer_)->is_special(ids.back());
  if (cut.size() < ids.size() && has_end && cut.size() > 1) cut.back() = ids.back();
  return cut;
}

Result<std::vector<Embedding>> Embedder::embed(std::span<const std::string> texts) {
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& text : texts) ids.push_back(TRY(encode(text)));
  return embed_ids(ids);
}

Result<std::vector<Embedding>> Embedder::embed_ids(std::span<const std::vector<int32_t>> texts) {
  std::vector<std::vector<int32_t>> ids;
  std::vector<Embedding> out(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    ids.push_back(TRY(cut(texts[i])));
    out[i].truncated = ids.back().size() < texts[i].size();
    out[i].n_tokens = std::ssize(ids.back());
  }
  const std::lock_guard lock(mutex_);
  for (size_t begin = 0; begin < ids.size();) {
    size_t end = begin, rows = 0;
    while (end < ids.size() && (end == begin || rows + ids[end].size() <= kRowsAtOnce))
      rows += ids[end++].size();
    run(std::span(ids).subspan(begin, end - begin), std::span(out).subspan(begin, end - begin));
    begin = end;
  }
  return out;
}

void Embedder::run(std::span<const std::vector<int32_t>> texts, std::span<Embedding> out) {
  std::vector<int32_t> tokens, pos, begins{0}, rows;
  for (const std::vector<int32_t>& ids : texts) {
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    for (size_t i = 0; i < ids.size(); ++i) pos.push_back(static_cast<int32_t>(i));
    begins.push_back(static_cast<int32_t>(tokens.size()));
  }
  rows.resize(tokens.size());
  std::iota(rows.begin(), rows.end(), 0);
  const std::span<const float> hidden =
      model_->output({.tokens = tokens, .pos = pos, .seq_begin = begins, .kv_slot = {}, .out_rows = rows});
  const auto D = static_cast<size_t>(n_dims());
  for (size_t i = 0; i < texts.size(); ++i)
    pool(hidden.subspan(static_cast<size_t>(begins[i]) * D, texts[i].size() * D), out[i]);
}

void Embedder::pool(std::span<const float> rows, Embedding& to) const {
  const auto D = static_cast<size_t>(n_dims()), n = rows.size() / D;
  const size_t first = pooling_ == Pooling::kLast ? n - 1 : 0;
  const size_t end = pooling_ == Pooling::kMean ? n : first + 1;
  std::vector<double> sum(D);
  for (size_t r = first; r < end; ++r)
    for (size_t i = 0; i < D; ++i) sum[i] += static_cast<double>(rows[r * D + i]);
  double squares = 0;
  for (double& x : sum) {
    x /= static_cast<double>(end - first);
    squares += x * x;
  }
  const double length = normalize_ ? std::max(std::sqrt(squares), 1e-12) : 1;
  to.vector.resize(D);
  for (size_t i = 0; i < D; ++i) to.vector[i] = static_cast<float>(sum[i] / length);
}

}  // namespace volant
