// ROUGE-N and ROUGE-L (Lin 2004) of a summary against a reference: shared n-grams, and the longest common
// subsequence, as precision, recall and F1, 0 to 1. Words are lower-case runs of letters and digits, Chinese
// by character; no stemming, no splitting into sentences.
#pragma once
#include <string_view>

#include "base/result.h"

namespace volant {

struct RougeScore {
  double precision = 0, recall = 0, f1 = 0;
};

// n from 1 to 9 (kInvalidArgument). Texts with fewer than n words score 0.
Result<RougeScore> rouge_n(std::string_view summary, std::string_view reference, int n);
// kLimit where the texts are too long to compare (kMaxEditCells pairs of words).
Result<RougeScore> rouge_l(std::string_view summary, std::string_view reference);

}  // namespace volant
