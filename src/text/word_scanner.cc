#include "text/word_scanner.h"

#include <array>
#include <cstdint>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class Class : uint8_t { kLetter, kNumber, kBlank, kOther, kEnd };

Class class_of(char32_t c) {
  if (is_letter(c)) return Class::kLetter;
  if (is_number(c)) return Class::kNumber;
  return is_white_space(c) ? Class::kBlank : Class::kOther;
}

const std::array<Class, 128>& ascii_classes() {
  static const auto table = [] {
    std::array<Class, 128> made{};
    for (char32_t c = 0; c < 128; ++c) made[c] = class_of(c);
    return made;
  }();
  return table;
}

// Walks over a text, one character ahead.
class Walker {
 public:
  Walker(std::string_view text, size_t pos) : text_(text), ascii_(ascii_classes()), pos_(pos) { look(); }
  Class kind() const { return kind_; }
  char32_t character() const { return c_; }
  size_t pos() const { return pos_; }
  size_t after() const { return next_; }
  void step() {
    pos_ = next_;
    look();
  }
  void skip(Class kind) {
    while (kind_ == kind) step();
  }

 private:
  void look() {
    next_ = pos_;
    if (pos_ >= text_.size()) {
      kind_ = Class::kEnd;
      c_ = 0;
      return;
    }
    c_ = next_code_point(text_, next_);
    kind_ = c_ < 128 ? ascii_[c_] : class_of(c_);
  }
  std::string_view text_;
  const std::array<Class, 128>& ascii_;
  size_t pos_, next_ = 0;
  char32_t c_ = 0;
  Class kind_ = Class::kEnd;
};

char32_t fold(char32_t c, bool ignore_case) {
  if (!ignore_case) return c;
  if (c == 0x17F) return 's';  // long s
  return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

// Bytes of 's 't 're 've 'm 'll 'd at `pos`; 0 when there is none.
size_t contraction(std::string_view text, size_t pos, bool ignore_case) {
  if (text[pos] != '\'' || pos + 1 >= text.size()) return 0;
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
  while (at.kind() == Class::kBlank) {
    last = at.pos();
    if (at.character() == '\n' || at.character() == '\r') after_newline = at.after();
    at.step();
  }
  if (newlines_first && after_newline != 0) return after_newline;
  return at.kind() == Class::kEnd || last == pos ? at.pos() : last;
}

size_t scan_gpt2(std::string_view text, size_t pos) {
  if (const size_t n = contraction(text, pos, false); n != 0) return pos + n;
  Walker at(text, pos);
  if (at.character() == ' ') at.step();
  if (at.kind() == Class::kEnd || at.kind() == Class::kBlank) return scan_blanks(text, pos, false);
  at.skip(at.kind());
  return at.pos();
}

size_t scan_cl100k(std::string_view text, size_t pos, int max_digits) {
  if (const size_t n = contraction(text, pos, true); n != 0) return pos + n;
  Walker at(text, pos);
  const char32_t first = at.character();
  const Class kind = at.kind();
  if (kind == Class::kNumber) {
    for (int n = 0; n < max_digits && at.kind() == Class::kNumber; ++n) at.step();
    return at.pos();
  }
  if (kind != Class::kLetter && first != '\r' && first != '\n') at.step();
  if (at.kind() == Class::kLetter) {
    at.skip(Class::kLetter);
    return at.pos();
  }
  if (kind == Class::kOther || (first == ' ' && at.kind() == Class::kOther)) {
    at.skip(Class::kOther);
    while (at.character() == '\r' || at.character() == '\n') at.step();
    return at.pos();
  }
  return scan_blanks(text, pos, true);
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
    case WordPattern::kNone:
      break;
  }
  return {};
}

WordPattern find_word_pattern(std::string_view regex) {
  for (const auto pattern : {WordPattern::kGpt2, WordPattern::kQwen2, WordPattern::kLlama3})
    if (regex == word_regex(pattern)) return pattern;
  return WordPattern::kNone;
}

size_t scan_word(WordPattern pattern, std::string_view utf8, size_t pos) {
  if (pattern == WordPattern::kGpt2) return scan_gpt2(utf8, pos);
  return scan_cl100k(utf8, pos, pattern == WordPattern::kLlama3 ? 3 : 1);
}

}  // namespace volant
