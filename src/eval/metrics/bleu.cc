#include "eval/metrics/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "eval/metrics/tokens.h"
#include "text/unicode.h"

namespace volant {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_period_or_comma(char c) { return c == '.' || c == ','; }

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  size_t at = 0;
  while ((at = text.find(from, at)) != std::string::npos) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
}

// Blanks around symbols: all ASCII punctuation but ' , - .
std::string part_symbols(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool symbol = (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
                        (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
    if (symbol) out += ' ';
    out += c;
    if (symbol) out += ' ';
  }
  return out;
}

// One pass over pairs that do not overlap: where `fits` holds for two neighbours, blanks go before, between
// and after them as told. Works on bytes: bytes of longer characters are neither digits nor marks.
template <class Fits>
std::string part_pairs(std::string_view text, bool before, bool after, Fits fits) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 >= text.size() || !fits(text[i], text[i + 1])) {
      out += text[i];
      continue;
    }
    if (before) out += ' ';
    out += text[i++];
    out += ' ';
    out += text[i];
    if (after) out += ' ';
  }
  return out;
}

std::vector<std::string> part_words(std::string_view line) {
  std::string text = part_symbols(line);
  text = part_pairs(text, false, true, [](char a, char b) { return !is_digit(a) && is_period_or_comma(b); });
  text = part_pairs(text, true, false, [](char a, char b) { return is_period_or_comma(a) && !is_digit(b); });
  text = part_pairs(text, false, true, [](char a, char b) { return is_digit(a) && b == '-'; });
  return split_white_space(text);
}

// sacreBLEU's list of what it cuts by character. Its two ranges beyond the basic plane are written such that
// they cover U+2001 to U+2A6D instead (and none beyond): scores must be the same, so they are here.
bool is_zh_character(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range kRanges[] = {{0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A},
                               {0xFA70, 0xFAD9}, {0x2001, 0x2A6D}, {0x2F81, 0x2FA1}, {0xFF00, 0xFFEF},
                               {0x2E80, 0x2EFF}, {0x3000, 0x303F}, {0x31C0, 0x31EF}, {0x2F00, 0x2FDF},
                               {0x2FF0, 0x2FFF}, {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0xFE10, 0xFE1F},
                               {0xFE30, 0xFE4F}, {0x3200, 0x33FF}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

std::vector<std::string> tokens_13a(std::string_view utf8) {
  std::string line(utf8);
  replace_all(line, "<skipped>", "");
  replace_all(line, "-\n", "");
  replace_all(line, "\n", " ");
  replace_all(line, "&quot;", "\"");
  replace_all(line, "&amp;", "&");
  replace_all(line, "&lt;", "<");
  replace_all(line, "&gt;", ">");
  return part_words(" " + line + " ");
}

std::vector<std::string> tokens_zh(std::string_view utf8) {
  std::u32string text = to_code_points(utf8);
  while (!text.empty() && is_white_space(text.back())) text.pop_back();
  while (!text.empty() && is_white_space(text.front())) text.erase(text.begin());
  std::string line;
  for (const char32_t c : text) {
    const bool alone = is_zh_character(c);
    if (alone) line += ' ';
    append_utf8(line, c);
    if (alone) line += ' ';
  }
  return part_words(line);
}

}  // namespace

std::vector<std::string> bleu_tokens(std::string_view utf8, BleuTokens kind) {
  switch (kind) {
    case BleuTokens::k13a:
      return tokens_13a(utf8);
    case BleuTokens::kZh:
      return tokens_zh(utf8);
    case BleuTokens::kNone:
      break;
  }
  return split_white_space(utf8);
}

BleuCounts& BleuCounts::operator+=(const BleuCounts& other) {
  for (size_t n = 0; n < matches.size(); ++n) {
    matches[n] += other.matches[n];
    total[n] += other.total[n];
  }
  hypothesis_length += other.hypothesis_length;
  reference_length += other.reference_length;
  return *this;
}

Result<BleuCounts> bleu_counts(std::string_view hypothesis, std::span<const std::string> references,
                               BleuTokens kind) {
  if (references.empty())
    return fail(ErrorCode::kInvalidArgument, "BLEU: expected at least one reference, got none");
  const std::vector<std::string> tokens = bleu_tokens(hypothesis, kind);
  std::vector<std::vector<std::string>> expected;
  for (const std::string& reference : references) expected.push_back(bleu_tokens(reference, kind));
  BleuCounts counts;
  counts.hypothesis_length = static_cast<int64_t>(tokens.size());
  counts.reference_length = static_cast<int64_t>(expected.front().size());
  for (const auto& reference : expected) {
    const auto length = static_cast<int64_t>(reference.size());
    const int64_t off = std::abs(length - counts.hypothesis_length);
    const int64_t best = std::abs(counts.reference_length - counts.hypothesis_length);
    if (off < best || (off == best && length < counts.reference_length)) counts.reference_length = length;
  }
  for (size_t n = 0; n < counts.matches.size(); ++n) {
    NgramCounts most;  // of any one reference
    for (const auto& reference : expected) {
      for (const auto& [ngram, count] : count_ngrams(reference, n + 1))
        most[ngram] = std::max(most[ngram], count);
    }
    counts.matches[n] = common_ngrams(count_ngrams(tokens, n + 1), most);
    counts.total[n] = std::max<int64_t>(counts.hypothesis_length - static_cast<int64_t>(n), 0);
  }
  return counts;
}

double bleu(const BleuCounts& counts, bool effective_order) {
  if (std::all_of(counts.matches.begin(), counts.matches.end(), [](int64_t m) { return m == 0; })) return 0;
  double logs = 0, smoothing = 1;
  size_t order = 0;
  for (; order < counts.matches.size() && counts.total[order] > 0; ++order) {
    const auto total = static_cast<double>(counts.total[order]);
    if (counts.matches[order] == 0) smoothing *= 2;
    logs += std::log(counts.matches[order] == 0 ? 1 / (smoothing * total)
                                                : static_cast<double>(counts.matches[order]) / total);
  }
  // An order without any n-gram has precision 0, and the geometric mean with it.
  if (!effective_order && order < counts.matches.size()) return 0;
  double brevity = 0;
  if (counts.hypothesis_length < counts.reference_length)
    brevity =
        1 - static_cast<double>(counts.reference_length) / static_cast<double>(counts.hypothesis_length);
  return 100 * std::exp(brevity + logs / static_cast<double>(order));
}

}  // namespace volant
