// Byte-pair merging: a word's bytes (or characters) become tokens by applying the merge of lowest rank again
// and again, leftmost first. Immutable; safe to use from several threads.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/byte_trie.h"
#include "text/word_model.h"

namespace volant {

struct MergePair {
  int32_t left = 0, right = 0;
};

class BpeModel : public WordModel {
 public:
  struct Parts {
    std::vector<std::string> tokens;  // by id; "" where an id has none
    std::vector<MergePair> merges;    // by rank, as ids
    std::vector<int32_t> ranks;       // of the merges, where they are not 0, 1, 2, ...; lower is merged first
    bool ignore_merges = false;       // a word that is a token is that token, whatever the merges say
    std::optional<int32_t> unk;
    bool characters = false;     // tokens are texts and merging begins with characters;
                                 // otherwise they are in the byte-level alphabet and it begins with bytes
    bool byte_fallback = false;  // characters: those that are no token become "<0x..>" tokens
    bool fuse_unk = false;       // characters: unknown ones side by side are one token
    // Characters: tokens from this id on only stand for unknown characters that merges begin with.
    size_t n_real = SIZE_MAX;
  };
  // kParse when a merge does not give a token.
  static Result<BpeModel> build(Parts parts);
  BpeModel(BpeModel&&) = default;

  void encode(std::string_view word, std::vector<int32_t>& ids) const override;
  void locate(std::string_view word, std::vector<WordToken>& tokens) const override;
  const std::vector<MergePair>& merges() const { return merges_; }
  bool ignore_merges() const { return ignore_merges_; }
  const std::optional<int32_t>& unk() const { return unk_; }
  bool byte_fallback() const { return byte_fallback_; }
  bool fuse_unk() const { return fuse_unk_; }

 private:
  struct Merge {
    uint64_t pair = kNoPair;
    int32_t rank = 0, id = 0;
  };
  static constexpr uint64_t kNoPair = ~0ULL;
  BpeModel() = default;
  Status add_merges(const Parts& parts);
  size_t unknown_bytes(std::string_view word, size_t pos) const;
  void index_tokens(const std::vector<std::string>& texts);
  void find_whole_characters(const std::vector<std::string>& bytes);
  const Merge* find(int32_t left, int32_t right) const;
  void insert(const Merge& merge);
  void begin_symbols(std::string_view word, std::vector<int32_t>& symbols) const;
  void begin_characters(std::string_view word, std::vector<int32_t>& symbols) const;
  void push_unknown(std::string_view character, std::vector<int32_t>& ids) const;
  void replace_stand_ins(std::string_view word, std::vector<int32_t>& ids) const;
  bool is_torn(char before, char after) const;
  void merge(std::vector<int32_t>& symbols) const;
  void merge_short(std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols) const;
  void encode_uncached(std::string_view word, std::vector<int32_t>& ids) const;

  bool characters_ = false, ignore_merges_ = false, byte_fallback_ = false, fuse_unk_ = false;
  std::array<int32_t, 256> byte_ids_{};  // of a byte alone; characters: of "<0x..>"
  std::vector<Merge> table_;             // open addressing, a power of two
  std::vector<uint64_t> filter_;         // a bit for each merge by its hash: most pairs asked for are none
  uint64_t filter_mask_ = 0;
  std::vector<MergePair> merges_;
  ByteTrie words_;                 // by bytes, for ignore_merges and characters
  std::vector<uint32_t> n_bytes_;  // by id, of the text it stands for
  std::vector<int32_t> whole_;     // by code point below 0x10000: the token that its bytes always become
  std::vector<uint64_t> torn_;     // 256 x 256 bits: byte pairs that a merge of parts of characters joins
  std::optional<int32_t> unk_;
  size_t n_real_ = 0;
  uint64_t serial_ = 0;  // names this model in the word caches of threads
};

}  // namespace volant
