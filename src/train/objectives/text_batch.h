// Texts and pairs of texts as ids with token types, packed into batches for encoders and classifiers.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/model_config.h"
#include "ops/batch.h"
#include "text/tokenizer.h"

namespace volant {

struct EncodedText {
  std::vector<int32_t> ids, types;  // at least one; types empty: all 0
};

// With what the vocabulary puts around, cut to max_tokens.
Result<EncodedText> encode_text(const Tokenizer& tokenizer, const std::string& text,
                                const std::optional<std::string>& pair, int64_t max_tokens);

struct TextBatch {
  std::vector<int32_t> tokens, pos, types, seq_begin{0}, out_rows;
  size_t begin = 0, end = 0;  // of the texts

  Batch view() const;
  // Adds a text; `rows` of it are read out, ascending. No types: all 0.
  void add(std::span<const int32_t> ids, std::span<const int32_t> types_of_ids,
           std::span<const int32_t> rows);
  void add(const EncodedText& text, std::span<const int32_t> rows) { add(text.ids, text.types, rows); }
  void pad();
  int64_t n_rows() const { return static_cast<int64_t>(tokens.size()); }
};

}  // namespace volant
