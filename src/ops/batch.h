// Batch: what one forward pass computes, flat. Training packs documents into it, serving packs slots.
//   T rows (tokens), S sequences, R rows that are read out.
#pragma once
#include <cstdint>
#include <span>

namespace volant {

struct Batch;

// What the encoder of an encoder-decoder reads: U rows of the sources of the S sequences.
struct Source {
  std::span<const int32_t> tokens, pos;  // U; empty: the sources were read before and stand in the cache
  std::span<const int32_t> seq_begin;    // S + 1 row offsets
  std::span<const int32_t> lengths;      // S: rows of each source, in this batch or in the cache
  std::span<const int32_t> rows;         // 0 .. U - 1: all of them go on
  Batch as_batch() const;
};

struct Batch {
  std::span<const int32_t> tokens;  // T ids
  std::span<const int32_t> pos;     // T positions within the own sequence, from 0
  // S + 1 row offsets: sequence s is rows seq_begin[s] .. seq_begin[s + 1] - 1.
  std::span<const int32_t> seq_begin;
  // S cache slots whose earlier positions a sequence continues; empty, and no pages below: no cache, a
  // sequence attends to its own rows alone.
  std::span<const int32_t> kv_slot;
  std::span<const int32_t> out_rows;          // R rows whose logits are wanted, ascending
  std::span<const int32_t> token_types = {};  // T types, of encoders; empty: all 0

  Source source = {};  // of encoder-decoders
  // S numbers of adapters that inference runs sequences with, 0: none; empty: none anywhere.
  std::span<const int32_t> adapter = {};
  // In place of slots, S lists of cache pages: the positions 64 i to 64 i + 63 of sequence s stand in page
  // kv_pages[kv_page_begin[s] + i]; kv_page_begin has S + 1 offsets.
  std::span<const int32_t> kv_pages = {}, kv_page_begin = {};

  // T rows of numbers in place of tokens, of networks: [T, columns]; each row is a sequence of its own.
  std::span<const float> features = {};
  int64_t feature_columns = 0;

  int64_t n_rows() const {
    return static_cast<int64_t>(feature_columns > 0 ? features.size() / static_cast<size_t>(feature_columns)
                                                    : tokens.size());
  }
  bool cached() const { return !kv_slot.empty() || !kv_page_begin.empty(); }
  int64_t n_seq() const { return static_cast<int64_t>(seq_begin.size()) - 1; }
};

inline Batch Source::as_batch() const {
  return {.tokens = tokens, .pos = pos, .seq_begin = seq_begin, .kv_slot = {}, .out_rows = rows};
}

}  // namespace volant
