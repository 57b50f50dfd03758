// Byte-pair merging over byte-level tokens: a word's bytes become tokens by applying the merge of lowest rank
// again and again, leftmost first. Immutable; safe to use from several threads.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace volant {

struct MergePair {
  int32_t left = 0, right = 0;
};

class BpeModel {
 public:
  // `tokens` by id, in the byte-level alphabet (empty: no token); `merges` by rank, as ids. `ignore_merges`:
  // a word that is a token is that token, whatever the merges say. kParse when a merge does not give a token.
  static Result<BpeModel> build(const std::vector<std::string>& tokens, std::vector<MergePair> merges,
                                bool ignore_merges, std::optional<int32_t> unk);
  // Appends the ids of a word's bytes.
  void encode_word(std::string_view bytes, std::vector<int32_t>& ids) const;
  const std::vector<MergePair>& merges() const { return merges_; }
  bool ignore_merges() const { return ignore_merges_; }

 private:
  struct Merge {
    uint64_t pair = kNoPair;
    int32_t rank = 0, id = 0;
  };
  static constexpr uint64_t kNoPair = ~0ULL;
  const Merge* find(int32_t left, int32_t right) const;
  void insert(const Merge& merge);
  void merge_short(std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols) const;
  void encode_uncached(std::string_view bytes, std::vector<int32_t>& ids) const;

  std::array<int32_t, 256> byte_ids_{};
  std::vector<Merge> table_;  // open addressing, a power of two
  std::vector<MergePair> merges_;
  std::unordered_map<std::string, int32_t> words_;  // bytes to id, for ignore_merges
  bool ignore_merges_ = false;
  std::optional<int32_t> unk_;
  uint64_t serial_ = 0;  // names this model in the word caches of threads
};

}  // namespace volant
