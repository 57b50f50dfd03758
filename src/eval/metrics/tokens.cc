#include "eval/metrics/tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace volant {

std::vector<std::string> split_white_space(std::string_view utf8) {
  std::vector<std::string> pieces;
  std::string piece;
  const auto flush = [&] {
    if (!piece.empty()) pieces.push_back(std::move(piece));
    piece.clear();
  };
  for (const char32_t c : to_code_points(utf8)) {
    if (is_white_space(c)) {
      flush();
    } else {
      append_utf8(piece, c);
    }
  }
  flush();
  return pieces;
}

std::vector<std::string> words_and_characters(std::string_view utf8) {
  std::vector<std::string> tokens;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) tokens.push_back(std::move(word));
    word.clear();
  };
  for (const char32_t c : to_code_points(to_lower(utf8))) {
    if (is_han(c)) {
      flush();
      append_utf8(word, c);
      flush();
    } else if (is_letter(c) || is_number(c)) {
      append_utf8(word, c);
    } else {
      flush();
    }
  }
  flush();
  return tokens;
}

NgramCounts count_ngrams(std::span<const std::string> tokens, size_t n) {
  NgramCounts counts;
  for (size_t i = 0; n > 0 && i + n <= tokens.size(); ++i) {
    std::string key;
    for (const std::string& token : tokens.subspan(i, n)) {
      key += token;
      key += '\0';
    }
    ++counts[std::move(key)];
  }
  return counts;
}

int64_t common_ngrams(const NgramCounts& a, const NgramCounts& b) {
  int64_t common = 0;
  for (const auto& [ngram, count] : a) {
    const auto found = b.find(ngram);
    if (found != b.end()) common += std::min(count, found->second);
  }
  return common;
}

}  // namespace volant
