// Token shards: documents as ids, memory-mapped. `NAME.bin` holds little-endian uint16 ids (uint32 when the
// vocabulary is larger than 65,536), `NAME.idx` little-endian uint64: magic "VOLTOK01", width in bytes,
// number of documents n, then n + 1 offsets in ids.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "io/mapped_file.h"

namespace volant {

class TokenShard {
 public:
  // `path` without the ending. Sizes and offsets are checked.
  static Result<TokenShard> open(const Path& path);
  uint64_t n_documents() const { return offsets_.size() - 1; }
  uint64_t n_tokens() const { return offsets_.back(); }
  uint64_t document_tokens(uint64_t document) const { return offsets_[document + 1] - offsets_[document]; }
  // Ids of one document, with the bos and eos that were written.
  std::vector<int32_t> document(uint64_t document) const;

 private:
  MappedFile ids_;
  int width_ = 2;
  std::vector<uint64_t> offsets_;
};

// Writes a shard document by document, aside; finish() renames both files, without it nothing appears.
class TokenShardWriter {
 public:
  static Result<TokenShardWriter> create(const Path& path, int32_t n_vocab);
  TokenShardWriter(TokenShardWriter&&) noexcept;
  TokenShardWriter& operator=(TokenShardWriter&&) noexcept;
  ~TokenShardWriter();
  // kInvalidArgument for an id outside [0, n_vocab).
  Status add(std::span<const int32_t> ids);
  Status finish();

 private:
  struct State;
  explicit TokenShardWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Writes a shard aside and renames both files.
Status write_token_shard(const Path& path, const std::vector<std::vector<int32_t>>& documents,
                         int32_t n_vocab);

}  // namespace volant
