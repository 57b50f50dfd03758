// Pack: rows of text as a token shard that the trainer maps into memory:
// bos, ids of the text, eos for each document.
#pragma once
#include "data/token_shard.h"
#include "text/tokenizer.h"

namespace volant {

struct ShardReport {
  uint64_t documents = 0;
  uint64_t tokens = 0;      // with bos and eos
  uint64_t text_bytes = 0;  // of UTF-8: bits per byte divides by this
  uint64_t text_chars = 0;
  Json to_json() const;
};

// Tokenises the "text" rows of a JSON Lines file; a row with "messages" is
// packed as its contents joined by blank lines. Text is plain: a control symbol
// that a user wrote is no control symbol. An empty file gives an empty shard.
Result<ShardReport> write_shard_of_rows(const Path& rows_path, const Tokenizer& tokenizer, const Path& out);

}  // namespace volant
