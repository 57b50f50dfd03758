// Sequences of ids packed flat, as a Batch wants them: what padded tensors are elsewhere.
#pragma once
#include <cstdint>
#include <vector>

#include "ops/batch.h"

namespace volant::testing {

struct TokenRows {
  std::vector<int32_t> tokens, pos, seq_begin{0}, out_rows, token_types;

  enum class Read { kAll, kFirst, kLast };  // rows of a sequence that are read out
  void add(const std::vector<int32_t>& ids, Read read, const std::vector<int32_t>& types = {}) {
    const auto begin = static_cast<int32_t>(tokens.size()), n = static_cast<int32_t>(ids.size());
    for (int32_t i = 0; i < n; ++i) {
      pos.push_back(i);
      const bool out = read == Read::kAll || i == (read == Read::kFirst ? 0 : n - 1);
      if (out) out_rows.push_back(begin + i);
    }
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    token_types.insert(token_types.end(), types.begin(), types.end());
    seq_begin.push_back(begin + n);
  }
  Batch view() const {
    return {.tokens = tokens,
            .pos = pos,
            .seq_begin = seq_begin,
            .kv_slot = {},
            .out_rows = out_rows,
            .token_types = token_types};
  }
};

// Sources and what is written from them, every target row read out: for encoder-decoders.
struct Pairs {
  std::vector<int32_t> tokens, pos, seq_begin{0}, out_rows;
  std::vector<int32_t> source_tokens, source_pos, source_begin{0}, source_lengths, source_rows;
  void add(const std::vector<int32_t>& source, const std::vector<int32_t>& target) {
    for (size_t i = 0; i < target.size(); ++i) {
      out_rows.push_back(static_cast<int32_t>(tokens.size()));
      tokens.push_back(target[i]);
      pos.push_back(static_cast<int32_t>(i));
    }
    for (size_t i = 0; i < source.size(); ++i) {
      source_rows.push_back(static_cast<int32_t>(source_tokens.size()));
      source_tokens.push_back(source[i]);
      source_pos.push_back(static_cast<int32_t>(i));
    }
    seq_begin.push_back(static_cast<int32_t>(tokens.size()));
    source_begin.push_back(static_cast<int32_t>(source_tokens.size()));
    source_lengths.push_back(static_cast<int32_t>(source.size()));
  }
  Batch view() const {
    return {.tokens = tokens,
            .pos = pos,
            .seq_begin = seq_begin,
            .kv_slot = {},
            .out_rows = out_rows,
            .source = {.tokens = source_tokens,
                       .pos = source_pos,
                       .seq_begin = source_begin,
                       .lengths = source_lengths,
                       .rows = source_rows}};
  }
};

}  // namespace volant::testing
