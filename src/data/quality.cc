#include "data/quality.h"

#include <fmt/core.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <functional>
#include <unordered_set>

#include "base/digest.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kWordNgram = 5;
constexpr size_t kHanNgram = 10;

bool is_mark(char32_t c) {
  const auto mask = U_GET_GC_MASK(static_cast<UChar32>(c));
  return (mask & U_GC_M_MASK) != 0;
}

// Of ASCII only what prose has; of other scripts all that Unicode calls punctuation.
bool is_ordinary_punctuation(char32_t c) {
  if (c < 0x80) return std::u32string_view(U".,;:!?'\"()-").find(c) != std::u32string_view::npos;
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_P_MASK) != 0;
}

// Scripts that put no blanks between words: each character stands for itself.
bool is_unspaced(char32_t c) {
  if (c < 0xE00) return false;
  return is_han(c) || (c >= 0xE00 && c <= 0xEFF) || (c >= 0x1000 && c <= 0x109F) ||
         (c >= 0x1780 && c <= 0x17FF) || (c >= 0x3040 && c <= 0x30FF);
}

uint64_t hash_of(std::u32string_view s) {
  return hash64({reinterpret_cast<const char*>(s.data()), s.size() * sizeof(char32_t)});
}

// Counts by kind of character, and the longest run of one character.
void measure_characters(const std::u32string& s, TextMeasures& m) {
  uint64_t letters = 0, digits = 0, symbols = 0, punctuation = 0, replacement = 0, run = 0, longest_run = 0;
  char32_t last = 0;
  for (const char32_t c : s) {
    if (u_isUWhiteSpace(static_cast<UChar32>(c))) continue;
    ++m.chars;
    m.weight += is_han(c) ? 2 : 1;
    run = c == last ? run + 1 : 1;
    last = c;
    longest_run = std::max(longest_run, run);
    if (is_letter(c) || is_mark(c)) {
      ++letters;
    } else if (u_isdigit(static_cast<UChar32>(c))) {
      ++digits;
    } else if (is_ordinary_punctuation(c)) {
      ++punctuation;
    } else {
      ++symbols;
      replacement += c == 0xFFFD;
    }
  }
  const double n = static_cast<double>(std::max<uint64_t>(m.chars, 1));
  m.letters = static_cast<double>(letters) / n;
  m.digits = static_cast<double>(digits) / n;
  m.symbols = static_cast<double>(symbols) / n;
  m.punctuation = static_cast<double>(punctuation) / n;
  m.replacement = static_cast<double>(replacement) / n;
  // "too" and "..." are runs that every text has.
  constexpr uint64_t kMinRun = 6;
  m.longest_run = longest_run < kMinRun ? 0 : static_cast<double>(longest_run) / n;
}

// Blank characters never take part; the indentation of a line does not make it another line.
std::u32string without_blanks(std::u32string_view line) {
  std::u32string out;
  for (const char32_t c : line) {
    if (!u_isUWhiteSpace(static_cast<UChar32>(c))) out.push_back(c);
  }
  return out;
}

void measure_lines(const std::u32string& s, TextMeasures& m) {
  std::unordered_set<uint64_t> seen;
  uint64_t repeated = 0;
  for (size_t begin = 0; begin <= s.size();) {
    const size_t end = std::min(s.find(U'\n', begin), s.size());
    const std::u32string line = without_blanks(std::u32string_view(s).substr(begin, end - begin));
    begin = end + 1;
    if (line.empty()) continue;
    ++m.lines;
    if (!seen.insert(hash_of(line)).second) repeated += line.size();
  }
  m.repeated_lines = static_cast<double>(repeated) / static_cast<double>(std::max<uint64_t>(m.chars, 1));
  m.mean_line = static_cast<double>(m.chars) / static_cast<double>(std::max<uint64_t>(m.lines, 1));
}

// Words are what stands between blanks, characters of Chinese, Japanese or Thai each one; sequences of them
// that come again are counted.
void measure_words(const std::u32string& s, TextMeasures& m) {
  std::vector<uint64_t> tokens;
  uint64_t n_han = 0, n_words = 0, word_chars = 0;
  std::u32string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    // Only words with letters tell how long words are:
    // a dash between blanks or between Chinese characters does not.
    if (std::any_of(word.begin(), word.end(), is_letter)) {
      ++n_words;
      word_chars += word.size();
    }
    m.longest_word = std::max<uint64_t>(m.longest_word, word.size());
    tokens.push_back(hash_of(word));
    word.clear();
  };
  for (const char32_t c : s) {
    if (is_unspaced(c)) {
      end_word();
      ++n_han;
      tokens.push_back(c);
    } else if (u_isUWhiteSpace(static_cast<UChar32>(c))) {
      end_word();
    } else {
      word.push_back(c);
    }
  }
  end_word();
  m.spaced_words = n_words;
  m.words = n_words + n_han;
  m.mean_word = n_words == 0 ? 0 : static_cast<double>(word_chars) / static_cast<double>(n_words);

  const size_t size = n_han > n_words ? kHanNgram : kWordNgram;
  if (tokens.size() < 2 * size) return;
  std::unordered_set<uint64_t> seen;
  uint64_t repeated = 0;
  for (size_t i = 0; i + size <= tokens.size(); ++i) {
    const uint64_t hash = hash64({reinterpret_cast<const char*>(&tokens[i]), size * sizeof(uint64_t)});
    repeated += !seen.insert(hash).second;
  }
  m.repeated_ngrams = static_cast<double>(repeated) / static_cast<double>(tokens.size() - size + 1);
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

// A rule: its name, and what is wrong, or an empty text.
struct Rule {
  const char* name;
  std::function<std::string(const TextMeasures&, const QualityOptions&)> broken;
};

std::string at_most(const char* what, double value, double limit) {
  if (value <= limit) return {};
  return fmt::format("{} {} of the text, expected {} or less", what, percent(value), percent(limit));
}

const std::vector<Rule>& rules() {
  using M = const TextMeasures&;
  using O = const QualityOptions&;
  static const std::vector<Rule> all = {
      {"too_short",
       [](M m, O o) {
         if (m.weight >= o.min_chars) return std::string();
         return fmt::format("{} characters (Chinese ones count twice), expected {} or more", m.weight,
                            o.min_chars);
       }},
      {"undecodable",
       [](M m, O) { return at_most("characters that could not be decoded are", m.replacement, 0.01); }},
      {"one_character_repeated",
       [](M m, O) { return at_most("a run of one character is", m.longest_run, 0.2); }},
      {"few_letters",
       [](M m, O) {
         if (m.letters >= 0.5) return std::string();
         return fmt::format("letters are {} of the text, expected 50 % or more", percent(m.letters));
       }},
      {"mostly_digits", [](M m, O) { return at_most("digits are", m.digits, 0.35); }},
      {"many_symbols", [](M m, O) { return at_most("symbols are", m.symbols, 0.25); }},
      {"repeated_lines",
       [](M m, O) {
         return m.lines < 4 ? std::string() : at_most("repeated lines are", m.repeated_lines, 0.4);
       }},
      {"repeated_phrases",
       [](M m, O) { return at_most("word sequences that occurred before are", m.repeated_ngrams, 0.5); }},
      {"odd_word_length",
       [](M m, O) {
         if (m.mean_word == 0 || m.spaced_words < 10 || (m.mean_word >= 2 && m.mean_word <= 25))
           return std::string();
         return fmt::format("words have {:.1f} characters on average, expected 2 to 25", m.mean_word);
       }},
      {"no_words",
       [](M m, O) {
         if (m.longest_word <= 300) return std::string();
         return fmt::format("a word of {} characters, expected 300 or less", m.longest_word);
       }},
      {"short_lines",
       [](M m, O) {
         if (m.lines < 6 || m.mean_line >= 4) return std::string();
         return fmt::format("lines have {:.1f} characters on average, expected 4 or more", m.mean_line);
       }},
  };
  return all;
}

}  // namespace

TextMeasures measure_text(std::string_view utf8) {
  const std::u32string s = to_code_points(utf8);
  TextMeasures m;
  measure_characters(s, m);
  measure_lines(s, m);
  measure_words(s, m);
  return m;
}

QualityVerdict judge_quality(const TextMeasures& m, const QualityOptions& options) {
  QualityVerdict verdict;
  const double repeats = std::max(m.repeated_lines, m.repeated_ngrams);
  verdict.score = std::clamp(m.letters / 0.75, 0.0, 1.0) * (1 - std::min(m.symbols * 2, 1.0)) * (1 - repeats);
  const auto skipped = [&](std::string_view rule) {
    return std::find(options.skip_rules.begin(), options.skip_rules.end(), rule) != options.skip_rules.end();
  };
  for (const Rule& rule : rules()) {
    if (skipped(rule.name)) continue;
    verdict.detail = rule.broken(m, options);
    if (verdict.detail.empty()) continue;
    verdict.keep = false;
    verdict.rule = rule.name;
    return verdict;
  }
  if (verdict.score < options.min_score && !skipped("low_score")) {
    verdict.keep = false;
    verdict.rule = "low_score";
    verdict.detail = fmt::format("score {:.2f}, expected {:.2f} or more", verdict.score, options.min_score);
  }
  return verdict;
}

std::span<const std::string> quality_rules() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Rule& rule : rules()) out.emplace_back(rule.name);
    out.emplace_back("low_score");
    return out;
  }();
  return names;
}

}  // namespace volant
