#include "text/character_map.h"

#include <cstring>

namespace volant {
namespace {

constexpr size_t kMaxBytes = 64U << 20;
constexpr size_t kMaxReplacementBytes = 256;
constexpr size_t kMinTrieBytes = 1024;  // one block of the double array

bool is_value(uint32_t unit) { return unit >> 31 != 0; }
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t label(uint32_t unit) { return unit & (1U << 31 | 0xFFU); }
// A replacement begins at `at` and is not longer than any is.
bool ends_soon(std::string_view texts, size_t at) {
  return at < texts.size() && texts.find('\0', at) - at <= kMaxReplacementBytes;
}
size_t offset(uint32_t unit) { return static_cast<size_t>(unit >> 10) << ((unit & (1U << 9)) >> 6); }

}  // namespace

Result<CharacterMap> CharacterMap::parse(std::string_view bytes) {
  CharacterMap map;
  if (bytes.empty()) return map;
  const Error bad = fail(ErrorCode::kParse, "the model's precompiled_charsmap is broken");
  uint32_t trie_bytes = 0;
  if (bytes.size() <= 4 || bytes.size() > kMaxBytes) return bad;
  std::memcpy(&trie_bytes, bytes.data(), 4);
  if (trie_bytes % 4 != 0 || trie_bytes < kMinTrieBytes || trie_bytes > bytes.size() - 4) return bad;
  map.bytes_ = bytes;
  map.units_.resize(trie_bytes / 4);
  std::memcpy(map.units_.data(), bytes.data() + 4, trie_bytes);
  const std::string_view texts = map.texts();
  if (texts.empty() || texts.back() != '\0') return bad;
  for (size_t i = 0; i < map.units_.size(); ++i) {
    const uint32_t unit = map.units_[i];
    if (is_value(unit) ? !ends_soon(texts, unit & 0x7FFFFFFFU)
                       : ((i ^ offset(unit)) | 0xFF) >= map.units_.size())
      return bad;
  }
  return map;
}

std::optional<CharacterMap::Match> CharacterMap::find(std::string_view text, bool longest) const {
  if (units_.empty() || is_value(units_[0])) return std::nullopt;
  std::optional<Match> found;
  size_t node = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t at = node ^ byte;
    const uint32_t unit = units_[at];
    if (label(unit) != byte) break;
    node = at ^ offset(unit);
    if (!has_leaf(unit)) continue;
    if (!is_value(units_[node])) break;
    found = Match{texts().data() + (units_[node] & 0x7FFFFFFFU), i + 1};
    if (!longest) break;
  }
  return found;
}

}  // namespace volant
