#include "data/clean.h"

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr char32_t kEscape = 0x1B;
constexpr char32_t kBackspace = 0x08;
constexpr char32_t kCsi = 0x9B;  // the one-character form of ESC [

bool is_c1(char32_t c) { return c >= 0x80 && c <= 0x9F; }

// The run of characters U+0080 to U+00FF at `begin` as the bytes that they once were;
// empty when that is no UTF-8.
std::u32string decode_run(std::u32string_view run) {
  std::string bytes;
  for (const char32_t c : run) bytes.push_back(static_cast<char>(c));
  return is_valid_utf8(bytes) ? to_code_points(bytes) : std::u32string();
}

// "â\x80\x99" is the UTF-8 of an apostrophe read as Latin-1, perhaps more than once. Only runs that hold a C1
// control character are touched: nobody writes those.
std::u32string repair_mojibake(std::u32string_view in, bool* changed) {
  std::u32string out;
  out.reserve(in.size());
  for (size_t i = 0; i < in.size();) {
    size_t end = i;
    bool suspicious = false;
    for (; end < in.size() && in[end] >= 0x80 && in[end] <= 0xFF; ++end)
      suspicious = suspicious || is_c1(in[end]);
    const std::u32string decoded = suspicious ? decode_run(in.substr(i, end - i)) : std::u32string();
    if (!decoded.empty()) {
      *changed = true;
      out += repair_mojibake(decoded, changed);  // shorter than before, so this ends
      i = end;
    } else {
      end = std::max(end, i + 1);
      out += in.substr(i, end - i);
      i = end;
    }
  }
  return out;
}

// Where the escape sequence that starts at `i` ends (one past it);
// `i` + 1 when it is a lone escape character.
size_t end_of_escape(const std::u32string& s, size_t i) {
  size_t at = i + 1;
  char32_t kind = '[';
  if (s[i] == kEscape) {
    if (at >= s.size()) return at;
    kind = s[at++];
  }
  if (kind == '[') {  // CSI: parameters, intermediates, one final character
    while (at < s.size() && s[at] >= 0x30 && s[at] <= 0x3F) ++at;
    while (at < s.size() && s[at] >= 0x20 && s[at] <= 0x2F) ++at;
    return at < s.size() && s[at] >= 0x40 && s[at] <= 0x7E ? at + 1 : at;
  }
  if (kind == ']' || kind == 'P' || kind == 'X' || kind == '^' ||
      kind == '_') {  // strings, to BEL or ESC backslash
    constexpr size_t kMaxString = 4096;
    for (size_t k = at; k < s.size() && k - at < kMaxString && s[k] != '\n'; ++k) {
      if (s[k] == 0x07) return k + 1;
      if (s[k] == kEscape && k + 1 < s.size() && s[k + 1] == '\\') return k + 2;
    }
    return at;
  }
  if (kind >= 0x20 && kind <= 0x2F) {  // "ESC ( B": choose a character set
    return at < s.size() && s[at] >= 0x30 && s[at] <= 0x7E ? at + 1 : at;
  }
  return kind >= 0x30 && kind <= 0x7E ? at : i + 1;
}

std::u32string remove_escapes(const std::u32string& in, bool* changed) {
  std::u32string out;
  out.reserve(in.size());
  for (size_t i = 0; i < in.size();) {
    if (in[i] == kEscape || in[i] == kCsi) {
      i = end_of_escape(in, i);
      *changed = true;
    } else {
      out.push_back(in[i++]);
    }
  }
  return out;
}

// The combining mark that an accent typed over a letter means; 0 when it is no accent.
char32_t combining_of(char32_t accent) {
  switch (accent) {
    case '\'':
    case 0xB4:
      return 0x301;
    case '`':
      return 0x300;
    case '^':
      return 0x302;
    case '"':
    case 0xA8:
      return 0x308;
    case '~':
      return 0x303;
    case ',':
    case 0xB8:
      return 0x327;
    default:
      return 0;
  }
}

// Two characters that were printed on one place.
std::u32string overprint(const std::u32string& below, char32_t above) {
  if (below.empty() || below == U"_" || below == U" ") return std::u32string(1, above);
  if (above == '_' || above == ' ' || below[0] == above) return below;
  if (is_letter(above) && below.size() == 1 && combining_of(below[0]) != 0) {
    return {above, combining_of(below[0])};
  }
  if (is_letter(below[0]) && combining_of(above) != 0) return below + combining_of(above);
  return std::u32string(1, above);
}

// A line as a printer would have shown it: a backspace goes one place back, and what follows is printed over.
void resolve_line(std::u32string_view line, std::u32string& out) {
  std::vector<std::u32string> cells;
  size_t cursor = 0;
  for (const char32_t c : line) {
    if (c == kBackspace) {
      cursor -= cursor > 0;
    } else if (cursor < cells.size()) {
      cells[cursor] = overprint(cells[cursor], c);
      ++cursor;
    } else {
      cells.emplace_back(1, c);
      ++cursor;
    }
  }
  for (const std::u32string& cell : cells) out += cell;
}

std::u32string resolve_overstrikes(const std::u32string& in, bool* changed) {
  if (in.find(kBackspace) == std::u32string::npos) return in;
  *changed = true;
  std::u32string out;
  out.reserve(in.size());
  size_t begin = 0;
  while (begin <= in.size()) {
    const size_t end = std::min(in.find(U'\n', begin), in.size());
    const std::u32string_view line = std::u32string_view(in).substr(begin, end - begin);
    if (line.find(kBackspace) == std::u32string_view::npos) {
      out += line;
    } else {
      resolve_line(line, out);
    }
    if (end < in.size()) out.push_back('\n');
    begin = end + 1;
  }
  return out;
}

// Controls and characters that nobody sees: zero width, soft hyphen, direction marks, tags, noncharacters.
// The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji need them.
bool is_unwanted(char32_t c) {
  if (c < 0x20) return c != '\n' && c != '\t';
  if (c < 0x7F) return false;
  return c <= 0x9F || c == 0xAD || c == 0x200B || c == 0x200E || c == 0x200F ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
         (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE ||
         (c >= 0xE0000 && c <= 0xE007F);
}

std::u32string remove_controls(const std::u32string& in, bool* changed) {
  std::u32string out;
  out.reserve(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const char32_t c = in[i];
    if (c == '\r') {
      if (i + 1 >= in.size() || in[i + 1] != '\n') out.push_back('\n');
    } else if (c == '\f' || c == '\v' || c == 0x85 || c == 0x2028 || c == 0x2029) {
      out.push_back('\n');
    } else if (!is_unwanted(c)) {
      out.push_back(c);
      continue;
    }
    *changed = *changed || c != '\r';
  }
  return out;
}

bool is_odd_blank(char32_t c) {
  return c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// Keeps the indentation of a line, single blanks inside it, nothing at its end.
void tidy_line(std::u32string_view line, std::u32string& out) {
  size_t i = 0;
  while (i < line.size() && (line[i] == ' ' || line[i] == '\t' || is_odd_blank(line[i]))) ++i;
  if (i == line.size()) return;
  for (size_t k = 0; k < i; ++k) {
    if (!is_odd_blank(line[k])) out.push_back(line[k]);
  }
  bool blank = false;
  for (; i < line.size(); ++i) {
    const char32_t c = line[i];
    if (c == ' ' || c == '\t' || is_odd_blank(c)) {
      blank = true;
      continue;
    }
    if (blank) out.push_back(' ');
    blank = false;
    out.push_back(c);
  }
}

std::u32string tidy_white_space(const std::u32string& in) {
  std::u32string out;
  out.reserve(in.size());
  size_t n_blank_lines = 0;
  for (size_t begin = 0; begin <= in.size();) {
    const size_t end = std::min(in.find(U'\n', begin), in.size());
    std::u32string line;
    tidy_line(std::u32string_view(in).substr(begin, end - begin), line);
    if (line.empty()) {
      ++n_blank_lines;
    } else {
      if (!out.empty()) out += n_blank_lines > 0 ? U"\n\n" : U"\n";
      out += line;
      n_blank_lines = 0;
    }
    begin = end + 1;
  }
  return out;
}

}  // namespace

Result<Normalization> normalization_of(std::string_view name) {
  if (name == "nfc") return Normalization::kNfc;
  if (name == "nfkc") return Normalization::kNfkc;
  if (name == "none") return Normalization::kNone;
  return fail(ErrorCode::kInvalidArgument,
              "expected normalize to be \"nfc\", \"nfkc\" or \"none\", got \"{}\"", name);
}

std::vector<std::string> CleanChanges::names() const {
  const std::array<std::pair<bool, const char*>, 7> all = {{{invalid_utf8, "invalid_utf8"},
                                                            {mojibake, "mojibake"},
                                                            {ansi, "ansi"},
                                                            {overstrike, "overstrike"},
                                                            {control, "control"},
                                                            {normalized, "normalized"},
                                                            {whitespace, "whitespace"}}};
  std::vector<std::string> out;
  for (const auto& [on, name] : all) {
    if (on) out.emplace_back(name);
  }
  return out;
}

std::string clean_text(std::string_view bytes, Normalization normalization, CleanChanges* changes) {
  CleanChanges ignored;
  CleanChanges& did = changes != nullptr ? *changes : ignored;
  std::u32string text;
  if (is_valid_utf8(bytes)) {
    text = to_code_points(bytes);
  } else {
    did.invalid_utf8 = true;
    text = to_code_points(to_valid_utf8(bytes));
  }
  text = repair_mojibake(text, &did.mojibake);
  text = remove_escapes(text, &did.ansi);
  text = resolve_overstrikes(text, &did.overstrike);
  text = remove_controls(text, &did.control);
  if (normalization != Normalization::kNone) {
    const std::string before = from_code_points(text);
    const std::string after =
        normalization == Normalization::kNfc ? normalize_nfc(before) : normalize_nfkc(before);
    if (after != before) {
      did.normalized = true;
      text = to_code_points(after);
    }
  }
  std::u32string tidy = tidy_white_space(text);
  // A line end at the end of a text is nothing to speak of.
  const size_t end = text.find_last_not_of(U'\n');
  did.whitespace = did.whitespace || tidy != text.substr(0, end == std::u32string::npos ? 0 : end + 1);
  return from_code_points(tidy);
}

}  // namespace volant
