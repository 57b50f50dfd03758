// Levenshtein distance (1966) between sequences: the fewest insertions, deletions and replacements. Error
// rates of characters (CER) and words (WER) are sums of distances over sums of reference lengths.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant {

// Between texts, in code points. kLimit above kMaxEditCells pairs of positions.
inline constexpr uint64_t kMaxEditCells = 4'000'000'000;
Result<int64_t> edit_distance(std::string_view a, std::string_view b);

struct EditCounts {
  int64_t distance = 0, reference = 0;  // in characters or words
  EditCounts& operator+=(const EditCounts& other) {
    distance += other.distance;
    reference += other.reference;
    return *this;
  }
};
// Code points, as they stand.
Result<EditCounts> character_errors(std::string_view hypothesis, std::string_view reference);
// Words between white space, as they stand.
Result<EditCounts> word_errors(std::string_view hypothesis, std::string_view reference);
// Distance over reference length: 0 is perfect, above 1 is possible. kInvalidArgument without a reference.
Result<double> error_rate(const EditCounts& counts);

}  // namespace volant
