#include "models/check_batch.h"

#include "models/family.h"

namespace volant {

Status check_ids(std::span<const int32_t> ids, int64_t n, const char* what) {
  for (const int32_t id : ids)
    if (id < 0 || id >= n)
      return fail(ErrorCode::kInvalidArgument, "expected {} below {}, got {}", what, n, id);
  return {};
}

Status check_batch(const ModelConfig& config, const Batch& batch) {
  TRY(check_ids(batch.tokens, config.vocab_size, "token ids"));
  TRY(check_ids(batch.out_rows, batch.n_rows(), "rows to read out"));
  if (config.family->has_learned_positions)
    TRY(check_ids(batch.pos, config.max_position_embeddings, "positions"));
  if (const auto* bert = std::get_if<BertFields>(&config.own)) {
    TRY(check_ids(batch.token_types, bert->type_vocab_size, "token types"));
    if (!batch.token_types.empty() && batch.token_types.size() != batch.tokens.size())
      return fail(ErrorCode::kInvalidArgument, "expected a token type for each of {} rows, got {}",
                  batch.tokens.size(), batch.token_types.size());
  }
  const Source& source = batch.source;
  if (config.has_source() == source.tokens.empty())
    return fail(ErrorCode::kInvalidArgument, "{} {} a source beside its rows", config.architecture,
                config.has_source() ? "needs" : "takes no");
  return check_ids(source.tokens, config.vocab_size, "source ids");
}

}  // namespace volant
