#include "text/word_scanner.h"

#include <array>
#include <cstdint>
#include <vector>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// What the patterns ask of a character, as bits.
enum : uint8_t {
  kLetter = 1,
  kNumber = 2,
  kBlank = 4,
  kOther = 8,   // none of these
  kUpper = 16,  // o200k: Lu Lt Lm Lo M
  kLower = 32,  // o200k: Ll Lm Lo M
  kNewline = 64,
  kEnd = 128  // no character: the text is over
};
constexpr uint8_t kKind = kLetter | kNumber | kBlank | kOther;

uint8_t class_of(char32_t c) {
  uint8_t bits = kOther;
  if (is_letter(c))
    bits = kLetter;
  else if (is_number(c))
    bits = kNumber;
  else if (is_white_space(c))
    bits = kBlank;
  if (is_upper_or_uncased(c)) bits |= kUpper;
  if (is_lower_or_uncased(c)) bits |= kLower;
  if (c == '\r' || c == '\n') bits |= kNewline;
  return bits;
}

constexpr size_t kTableSize = 0x10000;  // the Basic Multilingual Plane; beyond it ICU is asked each time

const uint8_t* class_table() {
  static const std::vector<uint8_t> table = [] {
    std::vector<uint8_t> made(kTableSize);
    for (char32_t c = 0; c < kTableSize; ++c) made[c] = class_of(c);
    return made;
  }();
  return table.data();
}

// Walks over valid UTF-8, one character ahead.
class Walker {
 public:
  Walker(std::string_view text, size_t pos)
      : begin_(text.data()), end_(text.data() + text.size()), at_(text.data() + pos) {
    look();
  }
  bool is(uint8_t bits) const { return (bits_ & bits) != 0; }
  uint8_t bits() const { return bits_; }
  char32_t character() const { return c_; }
  size_t pos() const { return static_cast<size_t>(at_ - begin_); }
  size_t after() const { return static_cast<size_t>(next_ - begin_); }
  void step() {
    at_ = next_;
    look();
  }
  void skip(uint8_t bits) {
    while (is(bits)) step();
  }

 private:
  void look() {
    next_ = at_;
    if (at_ >= end_) {
      bits_ = kEnd;
      c_ = 0;
      return;
    }
    const auto lead = static_cast<unsigned char>(*at_);
    const auto more = [this](int i) {
      return static_cast<char32_t>(static_cast<unsigned char>(at_[i]) & 0x3F);
    };
    if (lead < 0x80) {
      c_ = lead;
      next_ = at_ + 1;
    } else if (lead < 0xE0 && end_ - at_ >= 2) {
      c_ = static_cast<char32_t>(lead & 0x1F) << 6 | more(1);
      next_ = at_ + 2;
    } else if (lead < 0xF0 && end_ - at_ >= 3) {
      c_ = static_cast<char32_t>(lead & 0x0F) << 12 | more(1) << 6 | more(2);
      next_ = at_ + 3;
    } else if (end_ - at_ >= 4) {
      c_ = static_cast<char32_t>(lead & 0x07) << 18 | more(1) << 12 | more(2) << 6 | more(3);
      next_ = at_ + 4;
    } else {
      c_ = 0xFFFD;
      next_ = end_;
    }
    bits_ = c_ < kTableSize ? table_[c_] : class_of(c_);
  }
  const uint8_t* table_ = class_table();
  const char *begin_, *end_, *at_, *next_ = nullptr;
  char32_t c_ = 0;
  uint8_t bits_ = kEnd;
};

char32_t fold(char32_t c, bool ignore_case) {
  if (!ignore_case) return c;
  if (c == 0x17F) return 's';  // long s
  return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

// Bytes of 's 't 're 've 'm 'll 'd at `pos`; 0 when there is none.
size_t contraction(std::string_view text, size_t pos, bool ignore_case) {
  if (pos + 1 >= text.size() || text[pos] != '\'') return 0;
  size_t next = pos + 1;
  const char32_t a = fold(next_code_point(text, next), ignore_case);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return next - pos;
  if (next >= text.size()) return 0;
  const char32_t b = fold(next_code_point(text, next), ignore_case);
  return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? next - pos : 0;
}

// End of the blanks from `pos`: \s+(?!\S)|\s+ leaves the last one to the word that follows.
size_t scan_blanks(std::string_view text, size_t pos, bool newlines_first) {
  Walker at(text, pos);
  size_t last = pos, after_newline = 0;
  while (at.is(kBlank)) {
    last = at.pos();
    if (at.is(kNewline)) after_newline = at.after();
    at.step();
  }
  if (newlines_first && after_newline != 0) return after_newline;
  return at.is(kEnd) || last == pos ? at.pos() : last;
}

size_t scan_gpt2(std::string_view text, size_t pos) {
  if (const size_t n = contraction(text, pos, false); n != 0) return pos + n;
  Walker at(text, pos);
  if (at.character() == ' ') at.step();
  if (at.is(kEnd | kBlank)) return scan_blanks(text, pos, false);
  at.skip(at.bits() & kKind);
  return at.pos();
}

// What both newer patterns end with: digits, other characters, blanks.
size_t scan_rest(std::string_view text, size_t pos, int max_digits, bool slashes) {
  Walker at(text, pos);
  if (at.is(kNumber)) {
    for (int n = 0; n < max_digits && at.is(kNumber); ++n) at.step();
    return at.pos();
  }
  if (at.character() == ' ') at.step();
  if (!at.is(kOther)) return scan_blanks(text, pos, true);
  at.skip(kOther);
  while (at.is(kNewline) || (slashes && at.character() == '/')) at.step();
  return at.pos();
}

size_t scan_cl100k(std::string_view text, size_t pos, int max_digits) {
  if (const size_t n = contraction(text, pos, true); n != 0) return pos + n;
  Walker at(text, pos);
  if (!at.is(kLetter | kNumber | kNewline)) at.step();
  if (!at.is(kLetter)) return scan_rest(text, pos, max_digits, false);
  at.skip(kLetter);
  return at.pos();
}

// [upper]*[lower]+ from `pos`; 0 when it does not match. Where no lower one follows the upper ones, the last
// of those that has no case counts as lower.
size_t scan_capitalised(std::string_view text, size_t pos) {
  Walker at(text, pos);
  size_t after_uncased = 0;
  while (at.is(kUpper)) {
    if (at.is(kLower)) after_uncased = at.after();
    at.step();
  }
  if (!at.is(kLower)) return after_uncased;
  at.skip(kLower);
  return at.pos();
}

// [upper]+ from `pos`, where scan_capitalised did not match; 0 when there is none.
size_t scan_capitals(std::string_view text, size_t pos) {
  Walker at(text, pos);
  at.skip(kUpper);
  return at.pos() == pos ? 0 : at.pos();
}

size_t scan_o200k(std::string_view text, size_t pos) {
  const Walker at(text, pos);
  // One character may stand before the letters. A mark can be that one or count as a letter.
  const bool lead = !at.is(kLetter | kNumber | kNewline), letter = at.is(kUpper | kLower);
  size_t end = 0;
  if (lead) end = scan_capitalised(text, at.after());
  if (end == 0 && letter) end = scan_capitalised(text, pos);
  if (end == 0 && lead) end = scan_capitals(text, at.after());
  if (end == 0 && letter) end = scan_capitals(text, pos);
  return end == 0 ? scan_rest(text, pos, 3, true) : end + contraction(text, end, true);
}

}  // namespace

std::string_view word_regex(WordPattern pattern) {
  switch (pattern) {
    case WordPattern::kGpt2:
      return kGpt2;
    case WordPattern::kQwen2:
      return kQwen2;
    case WordPattern::kLlama3:
      return kLlama3;
    case WordPattern::kO200k:
      return kO200k;
    case WordPattern::kNone:
      break;
  }
  return {};
}

WordPattern find_word_pattern(std::string_view regex) {
  for (const auto pattern :
       {WordPattern::kGpt2, WordPattern::kQwen2, WordPattern::kLlama3, WordPattern::kO200k})
    if (regex == word_regex(pattern)) return pattern;
  return WordPattern::kNone;
}

size_t scan_word(WordPattern pattern, std::string_view utf8, size_t pos) {
  switch (pattern) {
    case WordPattern::kGpt2:
      return scan_gpt2(utf8, pos);
    case WordPattern::kO200k:
      return scan_o200k(utf8, pos);
    case WordPattern::kQwen2:
      return scan_cl100k(utf8, pos, 1);
    case WordPattern::kLlama3:
    case WordPattern::kNone:
      break;
  }
  return scan_cl100k(utf8, pos, 3);
}

}  // namespace volant
