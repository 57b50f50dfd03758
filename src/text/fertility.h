// Fertility: how many tokens a tokenizer needs for a character
// and for a word of each language, beside one token a byte.
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/tokenizer.h"

namespace volant {

struct FertilityCounts {
  uint64_t texts = 0, tokens = 0, characters = 0, words = 0, bytes = 0;
};

class Fertility {
 public:
  explicit Fertility(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  // `language` empty: found out.
  void add(std::string_view text, std::string_view language = {});
  const std::map<std::string, FertilityCounts>& by_language() const { return by_language_; }
  // {"languages": {"en": {"tokens_per_char", "tokens_per_word", "bytes_per_token",
  // "byte_level_tokens_per_char", "byte_level_tokens_per_word", "texts", "chars"}}, "all": {...}}. Languages
  // with fewer than 1 % of the characters are in "all" only.
  Json to_json() const;

 private:
  const Tokenizer& tokenizer_;
  std::map<std::string, FertilityCounts> by_language_;
};

// {"algorithm", "vocab_size", "languages", "all"}: the tokenizer report of a workspace.
Json tokenizer_report(std::string_view algorithm, const Fertility& fertility, int32_t n_vocab);

}  // namespace volant
