#include "data/cut.h"

#include <algorithm>

#include "text/unicode.h"

namespace volant {
namespace {

bool is_blank(char32_t c) { return c == ' ' || c == '\n' || c == '\t'; }

bool ends_sentence(char32_t c) {
  return c == '.' || c == '!' || c == '?' || c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0x2026;
}

// How good it is to cut before s[i]; 0 is a cut inside a word.
int cut_quality(std::u32string_view s, size_t i) {
  if (s[i] == '\n') return i + 1 < s.size() && s[i + 1] == '\n' ? 4 : 3;
  if (ends_sentence(s[i - 1]) && (is_blank(s[i]) || s[i - 1] > 0x7F)) return 2;
  return is_blank(s[i]) ? 1 : 0;
}

// Where to cut the first piece off: the last of the best places in the second half of what fits.
size_t cut_place(std::u32string_view s, size_t max_chars) {
  size_t best = max_chars;
  int best_quality = 0;
  for (size_t i = max_chars; i > max_chars / 2 && i > 0; --i) {
    const int quality = cut_quality(s, i);
    if (quality > best_quality) {
      best = i;
      best_quality = quality;
    }
  }
  return best;
}

}  // namespace

std::vector<std::string> cut_text(std::string_view utf8, uint64_t max_chars) {
  if (count_code_points(utf8) <= max_chars) return {std::string(utf8)};
  const std::u32string text = to_code_points(utf8);
  std::u32string_view rest = text;
  std::vector<std::string> out;
  while (!rest.empty()) {
    const size_t end = rest.size() <= max_chars ? rest.size() : cut_place(rest, max_chars);
    std::u32string_view piece = rest.substr(0, end);
    rest.remove_prefix(end);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    while (!piece.empty() && is_blank(piece.back())) piece.remove_suffix(1);
    if (!piece.empty()) out.push_back(from_code_points(piece));
  }
  return out;
}

}  // namespace volant
