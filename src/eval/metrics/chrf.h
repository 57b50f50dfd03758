// chrF (Popović 2015) as sacreBLEU defines it: F-score with beta 2 of character 1- to 6-grams without white
// space, precision and recall averaged over the orders that occur. 0 to 100. Needs no tokenizer: right for
// any language.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace volant {

// What a sentence adds to the corpus: keep these per row to bootstrap.
struct ChrfCounts {
  std::array<int64_t, 6> hypothesis{}, reference{}, matches{};  // n-grams of each order
  ChrfCounts& operator+=(const ChrfCounts& other);
};
// Of several references the one with the best score of this sentence counts. kInvalidArgument without any.
Result<ChrfCounts> chrf_counts(std::string_view hypothesis, std::span<const std::string> references);
double chrf(const ChrfCounts& counts);

}  // namespace volant
