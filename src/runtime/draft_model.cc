#include "runtime/draft_model.h"

#include <algorithm>

#include "kernels/kernels.h"

namespace volant {
namespace {

constexpr int64_t kMostRows = 256;  // of a text that are read in one step, so that nobody waits long

Status check_vocabulary(const Tokenizer& draft, const Tokenizer& model) {
  if (draft.n_vocab() != model.n_vocab()) {
    return fail(ErrorCode::kInvalidArgument,
                "a draft model needs the vocabulary of the model: expected {} tokens, got {}",
                model.n_vocab(), draft.n_vocab());
  }
  for (int32_t id = 0; id < model.n_vocab(); ++id) {
    if (draft.token_text(id) != model.token_text(id)) {
      return fail(ErrorCode::kInvalidArgument,
                  "a draft model needs the vocabulary of the model: expected token {} to be '{}', got '{}'",
                  id, model.token_text(id), draft.token_text(id));
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<DraftModel>> DraftModel::open(const Path& path, const Tokenizer& tokenizer,
                                                     int64_t n_vocab, int n_threads, int n_slots,
                                                     int64_t n_ctx) {
  const auto open = [&]() -> Result<std::unique_ptr<DraftModel>> {
    const Checkpoint checkpoint = TRY(Checkpoint::open(path));
    if (!checkpoint.config().is_decoder())
      return fail(ErrorCode::kUnsupported, "{} does not go on with a text", checkpoint.config().architecture);
    TRY(check_vocabulary(*TRY(checkpoint.tokenizer()), tokenizer));
    n_ctx = std::min<int64_t>(n_ctx, checkpoint.config().max_position_embeddings);
    std::unique_ptr<NativeModel> model = TRY(NativeModel::load(
        checkpoint, {.n_threads = n_threads, .n_slot = n_slots, .n_ctx = n_ctx, .kv_dtype = DType::kF16}));
    return std::unique_ptr<DraftModel>(
        new DraftModel(std::move(model), std::min<int64_t>(n_vocab, tokenizer.n_vocab()), n_slots, n_ctx));
  };
  auto draft = open();
  if (!draft) return std::move(draft).error().at(path.string());
  return draft;
}

void DraftModel::Rows::add(int slot, std::span<const int32_t> ids, int64_t first_pos) {
  for (const int32_t id : ids) {
    tokens.push_back(id);
    pos.push_back(static_cast<int32_t>(first_pos++));
  }
  seq_begin.push_back(static_cast<int32_t>(tokens.size()));
  slots.push_back(slot);
  out_rows.push_back(static_cast<int32_t>(tokens.size()) - 1);
}

std::vector<int32_t> DraftModel::best_of(const Rows& rows) {
  const auto logits = model_->logits({.tokens = rows.tokens,
                                      .pos = rows.pos,
                                      .seq_begin = rows.seq_begin,
                                      .kv_slot = rows.slots,
                                      .out_rows = rows.out_rows});
  const auto width = static_cast<int64_t>(logits.size() / rows.out_rows.size());
  std::vector<int32_t> best;
  for (int64_t r = 0; r < std::ssize(rows.out_rows); ++r) {
    const int64_t id = kernels().argmax(logits.data() + r * width, std::min(width, n_vocab_));
    best.push_back(static_cast<int32_t>(id));
  }
  return best;
}

void DraftModel::guess(std::span<Text> texts) {
  Rows rows;
  std::vector<Text*> read, writing;
  for (Text& text : texts) {
    const int64_t n = std::ssize(text.ids);
    text.most = std::min(text.most, n_ctx_ - n);
    if (text.most < 1) continue;
    std::vector<int32_t>& cached = cached_[static_cast<size_t>(text.slot)];
    const int64_t same = std::ranges::mismatch(cached, text.ids).in1 - cached.begin();
    const int64_t first = std::min(same, n - 1);
    const auto piece =
        text.ids.subspan(static_cast<size_t>(first), static_cast<size_t>(std::min(kMostRows, n - first)));
    cached.resize(static_cast<size_t>(first));
    cached.insert(cached.end(), piece.begin(), piece.end());
    rows.add(text.slot, piece, first);
    read.push_back(&text);
  }
  while (!read.empty()) {
    const std::vector<int32_t> best = best_of(rows);
    rows = {};
    writing.clear();
    for (size_t i = 0; i < read.size(); ++i) {
      Text& text = *read[i];
      std::vector<int32_t>& cached = cached_[static_cast<size_t>(text.slot)];
      if (std::ssize(cached) < std::ssize(text.ids)) continue;  // more of it is read in the next step
      text.guess.push_back(best[i]);
      if (std::ssize(text.guess) == text.most) continue;
      rows.add(text.slot, std::span(&text.guess.back(), 1), std::ssize(cached));
      cached.push_back(best[i]);
      writing.push_back(&text);
    }
    read.swap(writing);
  }
}

}  // namespace volant
