// The character map of a SentencePiece model ("precompiled_charsmap"): texts and what they are replaced by,
// as a double array trie (darts-clone) behind its size, then the replacements with a NUL each.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant {

class CharacterMap {
 public:
  CharacterMap() = default;  // maps nothing
  // Checked so that no look-up steps outside. Empty bytes map nothing. kParse.
  static Result<CharacterMap> parse(std::string_view bytes);
  bool empty() const { return units_.empty(); }
  const std::string& bytes() const { return bytes_; }

  struct Match {
    std::string_view replacement;
    size_t n_bytes = 0;  // of the text it stands for
  };
  // The longest beginning of `text` that is replaced, or nothing.
  std::optional<Match> longest(std::string_view text) const { return find(text, true); }
  std::optional<Match> shortest(std::string_view text) const { return find(text, false); }

 private:
  std::optional<Match> find(std::string_view text, bool longest) const;
  std::string bytes_;
  std::vector<uint32_t> units_;
  std::string_view texts() const { return std::string_view(bytes_).substr(4 + 4 * units_.size()); }
};

}  // namespace volant
