// Quality: rules with names that tell text from what is not text (tables of numbers, drawings made of
// letters, menus, minified code, endless repetition), in any language. No model, no list of words. After
// "Scaling Language Models" (Rae et al. 2021), appendix A, with limits for short texts and for Chinese.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace volant {

struct QualityOptions {
  uint64_t min_chars = 20;  // code points that are not blank; a Chinese one counts twice
  double min_score = 0.3;
  std::vector<std::string> skip_rules = {};
};

// What the rules look at; shares are of the code points that are not blank.
struct TextMeasures {
  uint64_t chars = 0;   // not blank
  uint64_t weight = 0;  // the same with Chinese characters counted twice: they say more
  double letters = 0;   // letters and marks
  double digits = 0;
  double symbols = 0;          // neither letter, digit nor ordinary punctuation
  double punctuation = 0;      // . , ; : ! ? ' " ( ) - and that of other scripts
  double replacement = 0;      // U+FFFD
  double longest_run = 0;      // of one character
  double repeated_lines = 0;   // in lines that occurred before
  double repeated_ngrams = 0;  // share of 5-word (10-character) sequences that occurred before
  double mean_word = 0;        // characters in a word; 0 without words
  uint64_t longest_word = 0;
  uint64_t spaced_words = 0;  // with letters, between blanks
  uint64_t words = 0;         // a Chinese character counts as one
  double mean_line = 0;       // characters in a line that is not empty
  uint64_t lines = 0;
};
TextMeasures measure_text(std::string_view utf8);

struct QualityVerdict {
  bool keep = true;
  std::string rule;    // the first rule that it broke
  std::string detail;  // "letters are 12 % of the text, expected 50 % or more"
  double score = 0;    // 0 to 1: share of letters, less what is symbols and what repeats
};
QualityVerdict judge_quality(const TextMeasures& measures, const QualityOptions& options);

// Names of all rules, in the order in which they are asked.
std::span<const std::string> quality_rules();

}  // namespace volant
