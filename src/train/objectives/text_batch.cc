#include "train/objectives/text_batch.h"

#include <algorithm>

namespace volant {
namespace {
constexpr size_t kPadTo = 64;  // few sizes, so that products are planned once
}

Result<EncodedText> encode_text(const Tokenizer& tokenizer, const std::string& text,
                                const std::optional<std::string>& pair, int64_t max_tokens) {
  TextPair texts{.text = text, .pair = std::nullopt};
  if (pair) texts.pair = *pair;
  EncodingOptions options;
  options.parse_special = false;  // what people write stays text
  options.truncation = Truncation{.max_length = static_cast<uint32_t>(max_tokens)};
  Encoding encoding = TRY(tokenizer.encode_with_offsets(texts, options));
  if (encoding.ids.empty()) return fail(ErrorCode::kInvalidArgument, "expected a text, got nothing");
  return EncodedText{std::move(encoding.ids), std::move(encoding.type_ids)};
}

Batch TextBatch::view() const {
  const bool typed = std::any_of(types.begin(), types.end(), [](int32_t t) { return t != 0; });
  Batch batch{.tokens = tokens, .pos = pos, .seq_begin = seq_begin, .kv_slot = {}, .out_rows = out_rows};
  if (typed) batch.token_types = types;
  return batch;
}

void TextBatch::add(std::span<const int32_t> ids, std::span<const int32_t> types_of_ids,
                    std::span<const int32_t> rows) {
  const auto first = static_cast<int32_t>(tokens.size());
  for (const int32_t row : rows) out_rows.push_back(first + row);
  for (size_t i = 0; i < ids.size(); ++i) {
    tokens.push_back(ids[i]);
    pos.push_back(static_cast<int32_t>(i));
    types.push_back(types_of_ids.empty() ? 0 : types_of_ids[i]);
  }
  seq_begin.push_back(static_cast<int32_t>(tokens.size()));
}

// Sequences of one row each, so that no position is out of range.
void TextBatch::pad() {
  while (tokens.size() % kPadTo != 0) {
    tokens.push_back(0);
    pos.push_back(0);
    types.push_back(0);
    seq_begin.push_back(static_cast<int32_t>(tokens.size()));
  }
}

}  // namespace volant
