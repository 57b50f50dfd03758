// BLEU (Papineni et al. 2002) as sacreBLEU defines it (Post 2018): corpus level, 4-grams, the closest
// reference length, exponential smoothing, tokenisation 13a (mteval-v13a), zh (Chinese by character) or none.
// Scores are 0 to 100, as they are quoted.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant {

enum class BleuTokens { k13a, kZh, kNone };

// A text cut as sacreBLEU cuts it; kNone: at white space.
std::vector<std::string> bleu_tokens(std::string_view utf8, BleuTokens kind);

// What a sentence adds to the corpus: keep these per row to bootstrap.
struct BleuCounts {
  std::array<int64_t, 4> matches{},
      total{};  // n-grams of the hypothesis that a reference has, and all of them
  int64_t hypothesis_length = 0, reference_length = 0;  // tokens; of the closest reference
  BleuCounts& operator+=(const BleuCounts& other);
};
// kInvalidArgument without a reference.
Result<BleuCounts> bleu_counts(std::string_view hypothesis, std::span<const std::string> references,
                               BleuTokens kind);

// Of the sums over a corpus. `effective_order` leaves out orders that the hypothesis is too short for: for
// single sentences.
double bleu(const BleuCounts& counts, bool effective_order = false);

}  // namespace volant
