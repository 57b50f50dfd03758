#include "text/unicode.h"

#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <cstring>
#include <limits>
#include <memory>

#include "base/check.h"

namespace volant {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

// ICU counts in int32_t: longer text is worked on in parts that end before a blank or at a character's end.
constexpr size_t kMaxIcuBytes = 1ULL << 30;

const icu::Normalizer2* normalizer(const char* name, UNormalization2Mode mode) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* found = icu::Normalizer2::getInstance(nullptr, name, mode, status);
  CHECK(U_SUCCESS(status) && found != nullptr);
  return found;
}

size_t skip_ascii(std::string_view text, size_t pos) {
  while (pos + 8 <= text.size()) {
    uint64_t word;
    std::memcpy(&word, text.data() + pos, 8);
    if ((word & 0x8080808080808080ULL) != 0) break;
    pos += 8;
  }
  return pos;
}

// First position at or after which `bytes` is not UTF-8; bytes.size() when it all is.
size_t find_invalid(std::string_view bytes, size_t pos) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  while ((pos = skip_ascii(bytes, pos)) < bytes.size()) {
    const size_t begin = pos;
    const size_t rest = std::min<size_t>(bytes.size() - pos, 4);
    int32_t i = 0;
    UChar32 c;
    U8_NEXT(data + begin, i, static_cast<int32_t>(rest), c);
    if (c < 0) return begin;
    pos = begin + static_cast<size_t>(i);
  }
  return bytes.size();
}

std::string normalize(std::string_view utf8, const icu::Normalizer2* by) {
  std::string out;
  if (skip_ascii(utf8, 0) + 8 > utf8.size() && find_invalid(utf8, 0) == utf8.size()) {
    bool ascii = true;
    for (const char c : utf8) ascii = ascii && static_cast<unsigned char>(c) < 0x80;
    if (ascii) return std::string(utf8);
  }
  if (utf8.size() > kMaxIcuBytes) return std::string(utf8);
  UErrorCode status = U_ZERO_ERROR;
  const icu::StringPiece piece(utf8.data(), static_cast<int32_t>(utf8.size()));
  if (by->isNormalizedUTF8(piece, status) && U_SUCCESS(status)) return std::string(utf8);
  status = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(utf8.size()));
  by->normalizeUTF8(0, piece, sink, nullptr, status);
  return U_SUCCESS(status) ? out : std::string(utf8);
}

enum class Case { kUpper, kLower, kTitle };

std::string map_case(std::string_view utf8, Case to) {
  if (utf8.size() > kMaxIcuBytes) return std::string(utf8);
  std::string out;
  UErrorCode status = U_ZERO_ERROR;
  const icu::StringPiece piece(utf8.data(), static_cast<int32_t>(utf8.size()));
  icu::StringByteSink<std::string> sink(&out);
  switch (to) {
    case Case::kUpper:
      icu::CaseMap::utf8ToUpper("", 0, piece, sink, nullptr, status);
      break;
    case Case::kLower:
      icu::CaseMap::utf8ToLower("", 0, piece, sink, nullptr, status);
      break;
    case Case::kTitle:
      icu::CaseMap::utf8ToTitle("", 0, nullptr, piece, sink, nullptr, status);
      break;
  }
  return U_SUCCESS(status) ? out : std::string(utf8);
}

bool has_category(char32_t code_point, uint32_t mask) {
  return (U_GET_GC_MASK(static_cast<UChar32>(code_point)) & mask) != 0;
}

struct TextCloser {
  void operator()(UText* text) const { utext_close(text); }
};

}  // namespace

bool is_valid_utf8(std::string_view bytes) { return find_invalid(bytes, 0) == bytes.size(); }

std::string to_valid_utf8(std::string_view bytes) {
  size_t bad = find_invalid(bytes, 0);
  if (bad == bytes.size()) return std::string(bytes);
  std::string out;
  out.reserve(bytes.size() + 16);
  size_t pos = 0;
  while (bad < bytes.size()) {
    out.append(bytes.substr(pos, bad - pos));
    out.append(kReplacementUtf8);
    int32_t i = 0;
    UChar32 c;
    const auto* data = reinterpret_cast<const uint8_t*>(bytes.data()) + bad;
    U8_NEXT(data, i, static_cast<int32_t>(std::min<size_t>(bytes.size() - bad, 4)), c);
    pos = bad + static_cast<size_t>(i);
    bad = find_invalid(bytes, pos);
  }
  out.append(bytes.substr(pos));
  return out;
}

std::string normalize_nfc(std::string_view utf8) {
  static const auto* by = normalizer("nfc", UNORM2_COMPOSE);
  return normalize(utf8, by);
}
std::string normalize_nfkc(std::string_view utf8) {
  static const auto* by = normalizer("nfkc", UNORM2_COMPOSE);
  return normalize(utf8, by);
}
std::string normalize_nfd(std::string_view utf8) {
  static const auto* by = normalizer("nfc", UNORM2_DECOMPOSE);
  return normalize(utf8, by);
}
std::string normalize_nfkd(std::string_view utf8) {
  static const auto* by = normalizer("nfkc", UNORM2_DECOMPOSE);
  return normalize(utf8, by);
}

char32_t next_code_point(std::string_view utf8, size_t& pos) {
  const auto lead = static_cast<unsigned char>(utf8[pos]);
  if (lead < 0x80) {
    ++pos;
    return lead;
  }
  int32_t i = 0;
  UChar32 c;
  const auto* data = reinterpret_cast<const uint8_t*>(utf8.data()) + pos;
  U8_NEXT(data, i, static_cast<int32_t>(std::min<size_t>(utf8.size() - pos, 4)), c);
  pos += static_cast<size_t>(i);
  return c < 0 ? kReplacement : static_cast<char32_t>(c);
}

void append_utf8(std::string& out, char32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = kReplacement;
  uint8_t buffer[4];
  int32_t n = 0;
  U8_APPEND_UNSAFE(buffer, n, static_cast<UChar32>(code_point));
  out.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(n));
}

std::u32string to_code_points(std::string_view utf8) {
  std::u32string out;
  out.reserve(utf8.size());
  for (size_t pos = 0; pos < utf8.size();) out.push_back(next_code_point(utf8, pos));
  return out;
}

std::string from_code_points(std::u32string_view code_points) {
  std::string out;
  out.reserve(code_points.size());
  for (const char32_t c : code_points) append_utf8(out, c);
  return out;
}

uint64_t count_code_points(std::string_view utf8) {
  uint64_t n = 0;
  for (const char c : utf8) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return n;
}

namespace {
// Calls piece(text, is_word) for what stands between ICU's word breaks.
template <class Piece>
void each_word_break(std::string_view utf8, const Piece& piece) {
  if (utf8.size() > kMaxIcuBytes) utf8 = utf8.substr(0, kMaxIcuBytes);
  UErrorCode status = U_ZERO_ERROR;
  thread_local std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
  if (U_FAILURE(status) || breaks == nullptr) return;
  std::unique_ptr<UText, TextCloser> text(
      utext_openUTF8(nullptr, utf8.data(), static_cast<int64_t>(utf8.size()), &status));
  breaks->setText(text.get(), status);
  if (U_FAILURE(status)) return;
  int32_t begin = breaks->first();
  for (int32_t end = breaks->next(); end != icu::BreakIterator::DONE; begin = end, end = breaks->next())
    piece(utf8.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
          breaks->getRuleStatus() != UBRK_WORD_NONE);
}
}  // namespace

std::vector<std::string> split_words(std::string_view utf8) {
  std::vector<std::string> words;
  each_word_break(utf8, [&](std::string_view piece, bool is_word) {
    if (is_word) words.emplace_back(piece);
  });
  return words;
}

std::string separate_words(std::string_view utf8) {
  std::string out;
  each_word_break(utf8, [&](std::string_view piece, bool) {
    size_t at = 0;
    if (is_white_space(next_code_point(piece, at))) return;
    if (!out.empty()) out += ' ';
    out += piece;
  });
  return out;
}

std::vector<size_t> grapheme_ends(std::string_view utf8) {
  std::vector<size_t> ends;
  UErrorCode status = U_ZERO_ERROR;
  thread_local std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  if (U_SUCCESS(status) && breaks != nullptr && utf8.size() <= kMaxIcuBytes) {
    std::unique_ptr<UText, TextCloser> text(
        utext_openUTF8(nullptr, utf8.data(), static_cast<int64_t>(utf8.size()), &status));
    breaks->setText(text.get(), status);
    if (U_SUCCESS(status)) {
      breaks->first();
      for (int32_t end; (end = breaks->next()) != icu::BreakIterator::DONE;)
        ends.push_back(static_cast<size_t>(end));
    }
  }
  if (!utf8.empty() && (ends.empty() || ends.back() != utf8.size())) ends.push_back(utf8.size());
  return ends;
}

bool is_han(char32_t code_point) {
  return u_hasBinaryProperty(static_cast<UChar32>(code_point), UCHAR_IDEOGRAPHIC) != 0;
}
bool is_letter(char32_t code_point) { return has_category(code_point, U_GC_L_MASK); }
bool is_number(char32_t code_point) { return has_category(code_point, U_GC_N_MASK); }
bool is_mark(char32_t code_point) { return has_category(code_point, U_GC_M_MASK); }
bool is_nonspacing_mark(char32_t code_point) { return has_category(code_point, U_GC_MN_MASK); }
bool is_punctuation(char32_t code_point) { return has_category(code_point, U_GC_P_MASK); }
bool is_other(char32_t code_point) {
  return has_category(code_point, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK);
}
bool is_upper_or_uncased(char32_t code_point) {
  return has_category(code_point, U_GC_LU_MASK | U_GC_LT_MASK | U_GC_LM_MASK | U_GC_LO_MASK | U_GC_M_MASK);
}
bool is_lower_or_uncased(char32_t code_point) {
  return has_category(code_point, U_GC_LL_MASK | U_GC_LM_MASK | U_GC_LO_MASK | U_GC_M_MASK);
}
bool is_white_space(char32_t code_point) { return u_isUWhiteSpace(static_cast<UChar32>(code_point)) != 0; }

std::string to_upper(std::string_view utf8) { return map_case(utf8, Case::kUpper); }
std::string to_lower(std::string_view utf8) { return map_case(utf8, Case::kLower); }
void append_lower(std::string& out, char32_t code_point) {
  if (code_point == 0x130) {
    out += "i\xCC\x87";
    return;
  }
  append_utf8(out, static_cast<char32_t>(u_tolower(static_cast<UChar32>(code_point))));
}
std::string to_title(std::string_view utf8) { return map_case(utf8, Case::kTitle); }

size_t incomplete_utf8_tail(std::string_view bytes) {
  const size_t look = std::min<size_t>(bytes.size(), 3);
  for (size_t n = 1; n <= look; ++n) {
    const auto lead = static_cast<unsigned char>(bytes[bytes.size() - n]);
    if ((lead & 0xC0) == 0x80) continue;  // a continuation byte: look further left
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
    if (length <= n) return 0;
    // Only what can still become a character counts: E0 80 never will.
    std::string probe(bytes.substr(bytes.size() - n));
    int32_t i = 0;
    UChar32 c;
    probe.resize(n);
    const auto* data = reinterpret_cast<const uint8_t*>(probe.data());
    U8_NEXT(data, i, static_cast<int32_t>(n), c);
    return static_cast<size_t>(i) == n && c < 0 && lead <= 0xF4 ? n : 0;
  }
  return 0;
}

}  // namespace volant
