#include "data/markdown.h"

#include <algorithm>

namespace volant {
namespace {

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (static_cast<unsigned char>(c) >= 0x80);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    out.push_back(line);
    begin = end + 1;
  }
  return out;
}

std::string_view trimmed(std::string_view s) {
  const size_t begin = s.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return s.substr(begin, s.find_last_not_of(" \t") - begin + 1);
}

// The number of marks when a line opens or closes a code fence ("```" or "~~~"), else 0.
size_t fence_of(std::string_view line) {
  const std::string_view body = trimmed(line);
  if (body.empty() || (body[0] != '`' && body[0] != '~')) return 0;
  const size_t n = std::min(body.find_first_not_of(body[0]), body.size());
  return n >= 3 ? n : 0;
}

size_t heading_level(std::string_view line) {
  const size_t n = std::min(line.find_first_not_of('#'), line.size());
  return n >= 1 && n <= 6 && (n == line.size() || line[n] == ' ' || line[n] == '\t') ? n : 0;
}

// "---", "* * *", "=====": rules and underlines of headings.
bool is_rule(std::string_view line) {
  const std::string_view body = trimmed(line);
  if (body.empty() || (body[0] != '-' && body[0] != '*' && body[0] != '_' && body[0] != '=')) return false;
  size_t n = 0;
  for (const char c : body) {
    if (c != body[0] && c != ' ') return false;
    n += c == body[0];
  }
  return n >= 3;
}

// "[name]: https://..." and "[^1]: ..." without the footnote's text.
bool is_link_definition(std::string_view line) {
  const std::string_view body = trimmed(line);
  if (body.size() < 5 || body[0] != '[' || body[1] == '^') return false;
  const size_t close = body.find("]:");
  return close != std::string_view::npos && body.find('[', 1) == std::string_view::npos;
}

// "|---|:--:|"
bool is_table_rule(std::string_view line) {
  const std::string_view body = trimmed(line);
  return body.find('|') != std::string_view::npos && body.find('-') != std::string_view::npos &&
         body.find_first_not_of("|-: \t") == std::string_view::npos;
}

// Where "](target)" that starts at `i` ends (one past it), or npos.
size_t end_of_target(std::string_view s, size_t i) {
  constexpr size_t kMaxTarget = 2048;
  if (i + 1 >= s.size() || (s[i + 1] != '(' && s[i + 1] != '[')) return std::string_view::npos;
  const char open = s[i + 1], close = open == '(' ? ')' : ']';
  int depth = 0;
  for (size_t k = i + 1; k < std::min(s.size(), i + kMaxTarget); ++k) {
    if (s[k] == open) ++depth;
    if (s[k] == close && --depth == 0) return k + 1;
  }
  return std::string_view::npos;
}

// True when the '<' at `i` begins an HTML tag or comment; `end` is one past its '>'.
bool is_tag(std::string_view s, size_t i, size_t* end) {
  constexpr size_t kMaxTag = 1024;
  if (i + 2 >= s.size()) return false;
  const char c = s[i + 1];
  if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/')) return false;
  const size_t close = s.substr(i, kMaxTag).find('>');
  if (close == std::string_view::npos) return false;
  const std::string_view inside = s.substr(i + 1, close - 1);
  if (inside.find("://") != std::string_view::npos && inside.find(' ') == std::string_view::npos)
    return false;  // <https://...>
  if (inside.find('@') != std::string_view::npos && inside.find(' ') == std::string_view::npos) return false;
  *end = i + close + 1;
  return true;
}

// Markers of emphasis open before a letter and close after one; "2 * 3" and "snake_case" hold none.
bool is_emphasis(std::string_view s, size_t i, size_t n) {
  const char before = i > 0 ? s[i - 1] : ' ';
  const char after = i + n < s.size() ? s[i + n] : ' ';
  const bool opens = after != ' ' && after != '\t', closes = before != ' ' && before != '\t';
  if (s[i] == '_') return !(is_alnum(before) && is_alnum(after)) && (opens || closes);
  return opens || closes;
}

// The text of one line without its inline markup.
std::string inline_text(std::string_view s) {
  std::string out;
  std::vector<size_t> open_brackets;  // places in `out` where "[" stood
  for (size_t i = 0; i < s.size();) {
    const char c = s[i];
    size_t end = 0;
    if (c == '\\' && i + 1 < s.size() && !is_alnum(s[i + 1]) && s[i + 1] != ' ') {
      out.push_back(s[i + 1]);
      i += 2;
    } else if (c == '`') {
      const size_t n = std::min(s.find_first_not_of('`', i), s.size()) - i;
      const size_t close = s.find(std::string(n, '`'), i + n);
      if (close == std::string_view::npos) {
        out.append(s.substr(i, n));
        i += n;
      } else {
        out.append(trimmed(s.substr(i + n, close - i - n)));
        i = close + n;
      }
    } else if (c == '!' && i + 1 < s.size() && s[i + 1] == '[') {
      ++i;  // of a picture its description stays
    } else if (c == '[') {
      open_brackets.push_back(out.size());
      out.push_back(c);
      ++i;
    } else if (c == ']' && !open_brackets.empty()) {
      const size_t target = end_of_target(s, i);
      if (target != std::string_view::npos) {
        out.erase(open_brackets.back(), 1);
        i = target;
      } else {
        out.push_back(c);
        ++i;
      }
      open_brackets.pop_back();
    } else if (c == '<' && is_tag(s, i, &end)) {
      i = end;
    } else if (c == '<' && s.substr(i, 1024).find('>') != std::string_view::npos && i + 1 < s.size() &&
               is_alnum(s[i + 1])) {
      ++i;  // <https://example.org> or <a@b.org>: the brackets go
      const size_t close = s.find('>', i);
      out.append(s.substr(i, close - i));
      i = close + 1;
    } else if (c == '*' || c == '_' || c == '~') {
      const size_t n = std::min(s.find_first_not_of(c, i), s.size()) - i;
      const bool marks = c == '~' ? n == 2 : n <= 3 && is_emphasis(s, i, n);
      if (!marks) out.append(s.substr(i, n));
      i += n;
    } else {
      out.push_back(c);
      ++i;
    }
  }
  return out;
}

// "| a | b |" as "a<tab>b".
std::string table_row(std::string_view line) {
  std::string_view body = trimmed(line);
  if (body.front() == '|') body.remove_prefix(1);
  if (!body.empty() && body.back() == '|') body.remove_suffix(1);
  std::string out;
  for (size_t begin = 0; begin <= body.size();) {
    size_t end = begin;
    while (end < body.size() && (body[end] != '|' || (end > 0 && body[end - 1] == '\\'))) ++end;
    if (begin > 0) out.push_back('\t');
    out += inline_text(trimmed(body.substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

// Without a leading block "---" ... "---" (YAML) or "+++" ... "+++" (TOML).
std::string_view without_front_matter(std::string_view text) {
  constexpr size_t kMaxFrontMatter = 64 << 10;
  for (const std::string mark : {"---", "+++"}) {
    if (!text.starts_with(mark + "\n") && !text.starts_with(mark + "\r\n")) continue;
    const size_t close = text.substr(0, kMaxFrontMatter).find("\n" + mark, 3);
    if (close == std::string_view::npos) continue;
    const size_t end = text.find('\n', close + 1);
    return end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return text;
}

std::string without_comments(std::string_view text) {
  std::string out;
  size_t at = 0;
  for (size_t open = text.find("<!--"); open != std::string_view::npos; open = text.find("<!--", at)) {
    const size_t close = text.find("-->", open);
    if (close == std::string_view::npos) break;
    out += text.substr(at, open - at);
    at = close + 3;
  }
  return out += text.substr(at);
}

}  // namespace

std::string text_of_markdown(std::string_view markdown) {
  const std::string source = without_comments(without_front_matter(markdown));
  std::string out;
  size_t fence = 0;
  bool in_table = false;
  const std::vector<std::string_view> lines = lines_of(source);
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    const size_t marks = fence_of(line);
    if (marks > 0 && (fence == 0 || marks >= fence)) {
      fence = fence == 0 ? marks : 0;
      continue;
    }
    if (fence > 0) {
      out.append(line).push_back('\n');
      continue;
    }
    while (trimmed(line).starts_with('>')) line = trimmed(trimmed(line).substr(1));
    if (is_table_rule(line) || is_rule(line) || is_link_definition(line)) continue;
    if (const size_t level = heading_level(line)) {
      std::string_view title = trimmed(line.substr(level));
      while (!title.empty() && title.back() == '#') title.remove_suffix(1);
      out += inline_text(trimmed(title));
    } else {
      // A table is what stands around its rule line.
      const bool row = line.find('|') != std::string_view::npos;
      in_table = row && (in_table || (i + 1 < lines.size() && is_table_rule(lines[i + 1])));
      out += in_table ? table_row(line) : inline_text(line);
    }
    out.push_back('\n');
  }
  return out;
}

std::vector<std::string> sections_of_markdown(std::string_view markdown) {
  std::vector<std::string> out(1);
  size_t fence = 0;
  for (const std::string_view line : lines_of(without_front_matter(markdown))) {
    const size_t marks = fence_of(line);
    if (marks > 0 && (fence == 0 || marks >= fence)) fence = fence == 0 ? marks : 0;
    if (fence == 0 && heading_level(line) > 0 && !trimmed(out.back()).empty()) out.emplace_back();
    out.back().append(line).push_back('\n');
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

}  // namespace volant
