#include "models/check_batch.h"

#include "models/family.h"

namespace volant {

Status check_ids(std::span<const int32_t> ids, int64_t n, const char* what) {
  for (const int32_t id : ids)
    if (id < 0 || id >= n)
      return fail(ErrorCode::kInvalidArgument, "expected {} below {}, got {}", what, n, id);
  return {};
}

namespace {

// Rows of numbers where the model reads such, and none where it reads tokens.
Status check_features(const ModelConfig& config, const Batch& batch) {
  const auto* network = std::get_if<NetworkFields>(&config.own);
  if (network == nullptr || network->reads_tokens()) {
    if (batch.features.empty() && batch.feature_columns == 0) return {};
    return fail(ErrorCode::kInvalidArgument, "{} reads token ids, not rows of numbers", config.architecture);
  }
  int64_t columns = 1;
  for (const int64_t size : network->input_shape) columns *= size;
  if (!batch.tokens.empty())
    return fail(ErrorCode::kInvalidArgument, "this network reads rows of {} numbers, not token ids", columns);
  if (batch.features.empty() || batch.feature_columns != columns ||
      batch.features.size() % static_cast<size_t>(columns) != 0)
    return fail(ErrorCode::kInvalidArgument, "expected rows of {} numbers, got {} numbers in rows of {}",
                columns, batch.features.size(), batch.feature_columns);
  return {};
}

// Of a network that reads tokens: sequences one after the other, none empty.
Status check_sequences(const Batch& batch) {
  if (batch.seq_begin.size() < 2 || batch.seq_begin.front() != 0 || batch.seq_begin.back() != batch.n_rows())
    return fail(ErrorCode::kInvalidArgument, "expected sequences that cover {} rows", batch.n_rows());
  for (size_t s = 0; s + 1 < batch.seq_begin.size(); ++s)
    if (batch.seq_begin[s] >= batch.seq_begin[s + 1])
      return fail(ErrorCode::kInvalidArgument, "sequence {} has no tokens, expected one at least", s);
  return {};
}

}  // namespace

Status check_batch(const ModelConfig& config, const Batch& batch) {
  TRY(check_features(config, batch));
  if (!config.family->is_transformer && batch.feature_columns == 0) TRY(check_sequences(batch));
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
