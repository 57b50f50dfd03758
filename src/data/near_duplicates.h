// Near duplicates: texts that say the same but for a few words. A text is the set of
// its shingles (three characters of Chinese, two words otherwise); MinHash signatures
// (Broder 1997) and banded hashing find the candidates, the estimated and then the
// real Jaccard similarity of the sets decides. The first of several alike stays.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace volant {

// Hashes of the shingles of a text, sorted, each once. Letter case, punctuation and white space do not count.
std::vector<uint64_t> shingles_of(std::string_view utf8);

// |a and b| / |a or b| of two sorted sets; 1 for two empty ones.
double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b);

inline constexpr int kMinHashSize = 128;
// For each of 128 hash functions its smallest value over the set.
using MinHash = std::vector<uint32_t>;
MinHash min_hash(const std::vector<uint64_t>& shingles);

struct NearDuplicate {
  uint64_t of;  // number of the text that stays
  double similarity;
};

class NearDuplicateIndex {
 public:
  // `text_of` gives back the text that was added as number n (for the check by real similarity).
  NearDuplicateIndex(double threshold, std::function<std::string(uint64_t n)> text_of);
  // The text that this one repeats, or nothing, and then this one is in the index as number `n`.
  std::optional<NearDuplicate> add(uint64_t n, const std::vector<uint64_t>& shingles,
                                   const MinHash& signature);
  // Rows of a band: how many equal hashes make a candidate. For tests and the report.
  int band_rows() const { return band_rows_; }

 private:
  // Texts that agree in one band form a chain, found by 32 bits of its hash; that two bands share these bits
  // costs a look, no more. A text is its place in numbers_, plus 1; 0 ends a chain.
  class Band {
   public:
    uint32_t newest(uint32_t tag) const;
    uint32_t older(uint32_t text) const { return older_[text - 1]; }
    // Texts come in order: `text` is one more than the last.
    void add(uint32_t tag, uint32_t text);

   private:
    struct Slot {
      uint32_t tag = 0, newest = 0;
    };
    static size_t place_of(const std::vector<Slot>& slots, uint32_t tag);
    std::vector<Slot> slots_;  // open addressing, a power of two
    size_t used_ = 0;
    std::vector<uint32_t> older_;
  };

  double estimate(size_t entry, const MinHash& signature) const;
  // Texts that share a band with these tags, oldest first.
  std::vector<uint32_t> candidates_of(const std::vector<uint32_t>& tags) const;

  double threshold_;
  int band_rows_;
  std::function<std::string(uint64_t)> text_of_;
  std::vector<uint64_t> numbers_;     // of texts, as the caller counts
  std::vector<uint32_t> sizes_;       // shingles of texts
  std::vector<uint16_t> signatures_;  // low halves of their signatures: enough for an estimate
  std::vector<Band> bands_;
};

}  // namespace volant
