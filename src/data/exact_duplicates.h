// Exact duplicates: texts that are equal but for letter case and white space. The first one stays.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace volant {

// The text in one case, its white space as single blanks: what counts as equal, here and in split.h.
std::string text_for_digest(std::string_view utf8);

class ExactDuplicates {
 public:
  // The number of the first text that is equal to this one, or nothing: then this is the first, number `n`.
  std::optional<uint64_t> add(uint64_t n, std::string_view utf8);

 private:
  struct Hash {
    size_t operator()(const std::array<uint64_t, 2>& key) const { return key[0]; }
  };
  std::unordered_map<std::array<uint64_t, 2>, uint64_t, Hash> first_;  // half of a SHA-256 -> number
};

}  // namespace volant
