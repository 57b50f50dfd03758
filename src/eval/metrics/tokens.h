// How text metrics cut text: at white space; into words with Chinese by character; n-grams and their counts.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace volant {

// Pieces between Unicode white space.
std::vector<std::string> split_white_space(std::string_view utf8);
// Runs of letters and digits, lower case; each Chinese character alone; the rest parts words.
std::vector<std::string> words_and_characters(std::string_view utf8);

// How often each run of n tokens occurs; keys are the tokens joined by U+0000.
using NgramCounts = std::map<std::string, int64_t>;
NgramCounts count_ngrams(std::span<const std::string> tokens, size_t n);
// The sum over n-grams of the smaller of both counts.
int64_t common_ngrams(const NgramCounts& a, const NgramCounts& b);

}  // namespace volant
