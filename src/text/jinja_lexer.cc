#include "text/jinja_lexer.h"

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace volant::jinja {
namespace {

constexpr size_t kMaxTokens = 200'000;

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (pos_ < source_.size()) {
      const size_t open = find_tag(pos_);
      std::string_view text = source_.substr(pos_, open - pos_);
      if (open == source_.size()) {
        push_text(text, text.size());
        break;
      }
      const char kind = source_[open + 1];
      const char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
      push_text(trimmed(text, kind, sign), text.size());
      pos_ = open + 2 + (sign == '-' || sign == '+' ? 1U : 0U);
      if (Status status = kind == '#' ? comment() : tag(kind); !status) return std::move(status).error();
      if (tokens_.size() > kMaxTokens) return error(ErrorCode::kLimit, "the template is too long");
    }
    push(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  Error error(ErrorCode code, const std::string& what) const {
    return fail(code, "line {}: {}", line_, what);
  }

  size_t find_tag(size_t from) const {
    for (size_t at = from; (at = source_.find('{', at)) != std::string_view::npos && at + 1 < source_.size();
         ++at)
      if (const char c = source_[at + 1]; c == '{' || c == '%' || c == '#') return at;
    return source_.size();
  }

  // The text before a tag, less the blanks that the tag takes.
  std::string_view trimmed(std::string_view text, char kind, char sign) const {
    if (sign == '-') {
      while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
      return text;
    }
    if (sign == '+' || kind == '{') return text;
    const size_t newline = text.rfind('\n');
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    if (begin == 0 && !line_starting_) return text;
    for (const char c : text.substr(begin))
      if (!is_blank(c)) return text;
    return text.substr(0, begin);
  }

  void push(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  // `size`: characters of the source that the text stands for, for counting lines.
  void push_text(std::string_view text, size_t size) {
    if (!text.empty()) push(Token::Kind::kText, std::string(text));
    advance(pos_ + size);
  }
  void advance(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(pos_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    pos_ = to;
  }

  // Behind the end of a tag: "-" takes all blanks, trim_blocks one line end.
  void after_tag(char sign, bool trims_line) {
    size_t end = pos_;
    if (sign == '-') {
      while (end < source_.size() && is_blank(source_[end])) ++end;
    } else if (trims_line && sign != '+' && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    line_starting_ = end > 0 && source_[end - 1] == '\n';
    advance(end);
  }

  Status comment() {
    const size_t end = source_.find("#}", pos_);
    if (end == std::string_view::npos) return error(ErrorCode::kParse, "a comment is not closed");
    const char sign = end > pos_ ? source_[end - 1] : ' ';
    advance(end + 2);
    after_tag(sign == '-' || sign == '+' ? sign : ' ', true);
    return {};
  }

  // A block or print tag up to its end.
  Status tag(char kind) {
    const bool block = kind == '%';
    const std::string_view close = block ? "%}" : "}}";
    if (block && at_raw()) return raw();
    push(block ? Token::Kind::kBlockBegin : Token::Kind::kPrintBegin, "");
    brackets_.clear();
    while (true) {
      while (pos_ < source_.size() && is_blank(source_[pos_])) advance(pos_ + 1);
      if (pos_ >= source_.size()) return error(ErrorCode::kParse, "a tag is not closed");
      const char c = source_[pos_];
      if (brackets_.empty()) {
        const bool has_sign =
            (c == '-' || (c == '+' && block)) && source_.substr(pos_ + 1).starts_with(close);
        if (has_sign || source_.substr(pos_).starts_with(close)) {
          advance(pos_ + close.size() + (has_sign ? 1 : 0));
          push(block ? Token::Kind::kBlockEnd : Token::Kind::kPrintEnd, "");
          after_tag(has_sign ? c : ' ', block);
          return {};
        }
      }
      if (Status status = expression_token(c); !status) return status;
      if (tokens_.size() > kMaxTokens) return error(ErrorCode::kLimit, "the template is too long");
    }
  }

  // "raw" directly behind "{%".
  bool at_raw() const {
    std::string_view rest = source_.substr(pos_);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    if (!rest.starts_with("raw")) return false;
    rest.remove_prefix(3);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    return rest.starts_with("%}") || rest.starts_with("-%}") || rest.starts_with("+%}");
  }
  Status raw() {
    const size_t begin_end = source_.find("%}", pos_);
    const char begin_sign = source_[begin_end - 1];
    advance(begin_end + 2);
    after_tag(begin_sign == '-' || begin_sign == '+' ? begin_sign : ' ', true);
    for (size_t at = pos_; (at = source_.find("{%", at)) != std::string_view::npos; at += 2) {
      size_t name = at + 2;
      const char sign = name < source_.size() ? source_[name] : ' ';
      if (sign == '-' || sign == '+') ++name;
      while (name < source_.size() && is_blank(source_[name])) ++name;
      if (!source_.substr(name).starts_with("endraw")) continue;
      const size_t end = source_.find("%}", name);
      if (end == std::string_view::npos) break;
      const std::string_view text = source_.substr(pos_, at - pos_);
      push_text(trimmed(text, '%', sign), text.size());
      const char end_sign = source_[end - 1];
      advance(end + 2);
      after_tag(end_sign == '-' || end_sign == '+' ? end_sign : ' ', true);
      return {};
    }
    return error(ErrorCode::kParse, "'raw' is not closed by 'endraw'");
  }

  Status expression_token(char c) {
    if (c == '"' || c == '\'') return string_token(c);
    if (is_digit(c)) {
      number();
      return {};
    }
    size_t end = pos_;
    if (is_name_start(c)) {
      while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
      push(Token::Kind::kName, std::string(source_.substr(pos_, end - pos_)));
      advance(end);
      return {};
    }
    constexpr std::array<std::string_view, 6> kTwo = {"//", "**", "==", "!=", ">=", "<="};
    for (const std::string_view two : kTwo) {
      if (!source_.substr(pos_).starts_with(two)) continue;
      push(Token::Kind::kOperator, std::string(two));
      advance(pos_ + 2);
      return {};
    }
    if (std::string_view("+-*/%~<>=.:|,()[]{}").find(c) == std::string_view::npos)
      return error(ErrorCode::kParse, std::string("unexpected character '") + c + "'");
    if (c == '(' || c == '[' || c == '{') brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty() || brackets_.back() != c)
        return error(ErrorCode::kParse, std::string("'") + c + "' closes nothing");
      brackets_.pop_back();
    }
    push(Token::Kind::kOperator, std::string(1, c));
    advance(pos_ + 1);
    return {};
  }

  void number() {
    size_t end = pos_;
    bool is_float = false;
    const auto digits = [&] {
      while (end < source_.size() && (is_digit(source_[end]) || source_[end] == '_')) ++end;
    };
    digits();
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) {
      is_float = true;
      ++end;
      digits();
    }
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      size_t after = end + 1;
      if (after < source_.size() && (source_[after] == '+' || source_[after] == '-')) ++after;
      if (after < source_.size() && is_digit(source_[after])) {
        is_float = true;
        end = after;
        digits();
      }
    }
    std::string text(source_.substr(pos_, end - pos_));
    std::erase(text, '_');
    push(is_float ? Token::Kind::kFloat : Token::Kind::kInt, std::move(text));
    advance(end);
  }

  // A string literal with Python's escapes.
  Status string_token(char quote) {
    std::string text;
    size_t at = pos_ + 1;
    for (; at < source_.size() && source_[at] != quote; ++at) {
      if (source_[at] != '\\' || at + 1 >= source_.size()) {
        text += source_[at];
        continue;
      }
      const char c = source_[++at];
      constexpr std::string_view kEscapes = "nrtabfv0\\'\"";
      constexpr std::string_view kMeanings("\n\r\t\a\b\f\v\0\\'\"", 11);
      if (const size_t found = kEscapes.find(c); found != std::string_view::npos) {
        text += kMeanings[found];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t length = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        const std::string hex(source_.substr(at + 1, length));
        if (hex.size() != length || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
          return error(ErrorCode::kParse, "a \\x, \\u or \\U escape is cut off");
        append_utf8(text, static_cast<char32_t>(std::stoul(hex, nullptr, 16)));
        at += length;
      } else if (c != '\n') {
        text += '\\';
        text += c;
      }
    }
    if (at >= source_.size()) return error(ErrorCode::kParse, "a string is not closed");
    push(Token::Kind::kString, std::move(text));
    advance(at + 1);
    return {};
  }

  std::string_view source_;
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::string brackets_;  // closing brackets that are due
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') continue;
      text += '\n';
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();  // keep_trailing_newline is off
  return Lexer(text).run();
}

}  // namespace volant::jinja
