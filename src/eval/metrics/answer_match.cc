#include "eval/metrics/answer_match.h"

#include <algorithm>
#include <utility>

#include "eval/metrics/tokens.h"
#include "text/unicode.h"

namespace volant {
namespace {

bool is_ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

double f1_of(double common, size_t n_answer, size_t n_reference) {
  if (common == 0) return 0;
  const double precision = common / static_cast<double>(n_answer);
  const double recall = common / static_cast<double>(n_reference);
  return 2 * precision * recall / (precision + recall);
}

std::vector<std::string> squad_tokens(std::string_view normalized) {
  std::vector<std::string> tokens;
  for (const std::string& word : split_white_space(normalized)) {
    std::string rest;
    for (const char32_t c : to_code_points(word)) {
      if (!is_han(c)) {
        append_utf8(rest, c);
        continue;
      }
      if (!rest.empty()) tokens.push_back(std::exchange(rest, {}));
      append_utf8(rest, c);
      tokens.push_back(std::exchange(rest, {}));
    }
    if (!rest.empty()) tokens.push_back(std::move(rest));
  }
  return tokens;
}

// CMRC's list; the ellipsis is not in it.
bool is_cmrc_punctuation(char32_t c) {
  constexpr std::u32string_view kMarks = U"-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』";
  return kMarks.find(c) != std::u32string_view::npos;
}

std::u32string cmrc_text(std::string_view utf8) {
  std::u32string text = to_code_points(to_lower(utf8));
  while (!text.empty() && is_white_space(text.back())) text.pop_back();
  while (!text.empty() && is_white_space(text.front())) text.erase(text.begin());
  std::erase_if(text, is_cmrc_punctuation);
  return text;
}

bool is_cmrc_han(char32_t c) { return c >= 0x4E00 && c <= 0x9FA5; }

std::vector<std::u32string> cmrc_segments(const std::u32string& text) {
  std::vector<std::u32string> segments;
  bool open = false;  // the last segment can take more
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const auto digit_at = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    const bool inside_number = (c == '.' || c == ',') && i > 0 && digit_at(i - 1) && digit_at(i + 1);
    const bool alone = is_cmrc_han(c) || (!is_letter(c) && !is_number(c) && !inside_number);
    if (is_white_space(c)) {
      open = false;
    } else if (alone || !open) {
      segments.emplace_back(1, c);
      open = !alone;
    } else {
      segments.back() += c;
    }
  }
  return segments;
}

size_t longest_common_run(const std::vector<std::u32string>& a, const std::vector<std::u32string>& b) {
  std::vector<size_t> runs(b.size() + 1);  // that end at b[j - 1] and at the present segment of a
  size_t longest = 0;
  for (const std::u32string& segment : a) {
    for (size_t j = b.size(); j > 0; --j) {
      runs[j] = segment == b[j - 1] ? runs[j - 1] + 1 : 0;
      longest = std::max(longest, runs[j]);
    }
  }
  return longest;
}

}  // namespace

std::string normalize_answer(std::string_view utf8) {
  std::u32string text = to_code_points(to_lower(utf8));
  std::erase_if(text, is_ascii_punctuation);
  std::string normalized;
  for (const std::string& word : split_white_space(from_code_points(text))) {
    if (word == "a" || word == "an" || word == "the") continue;
    normalized += (normalized.empty() ? "" : " ") + word;
  }
  return normalized;
}

AnswerScore squad_score(std::string_view answer, std::span<const std::string> references) {
  AnswerScore best;
  const std::string given = normalize_answer(answer);
  const std::vector<std::string> given_tokens = squad_tokens(given);
  for (const std::string& reference : references) {
    const std::string expected = normalize_answer(reference);
    const std::vector<std::string> tokens = squad_tokens(expected);
    const int64_t common = common_ngrams(count_ngrams(given_tokens, 1), count_ngrams(tokens, 1));
    if (given == expected) best.exact_match = 1;
    best.f1 = std::max(best.f1, f1_of(static_cast<double>(common), given_tokens.size(), tokens.size()));
  }
  return best;
}

AnswerScore cmrc_score(std::string_view answer, std::span<const std::string> references) {
  AnswerScore best;
  const std::u32string given = cmrc_text(answer);
  const std::vector<std::u32string> given_segments = cmrc_segments(given);
  for (const std::string& reference : references) {
    const std::u32string expected = cmrc_text(reference);
    const std::vector<std::u32string> segments = cmrc_segments(expected);
    const auto common = static_cast<double>(longest_common_run(given_segments, segments));
    if (given == expected) best.exact_match = 1;
    best.f1 = std::max(best.f1, f1_of(common, given_segments.size(), segments.size()));
  }
  return best;
}

}  // namespace volant
