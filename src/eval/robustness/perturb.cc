#include "eval/robustness/perturb.h"

#include <unicode/translit.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/nearest.h"
#include "base/random.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxLong = 10'000'000;

struct Named {
  Perturbation kind;
  const char* name;
};
constexpr std::array kNames{
    Named{Perturbation::kTypos, "typos"},
    Named{Perturbation::kUpperCase, "upper-case"},
    Named{Perturbation::kLowerCase, "lower-case"},
    Named{Perturbation::kRandomCase, "random-case"},
    Named{Perturbation::kWhiteSpace, "white-space"},
    Named{Perturbation::kHomoglyphs, "homoglyphs"},
    Named{Perturbation::kWordSwap, "word-swap"},
    Named{Perturbation::kTraditional, "traditional"},
    Named{Perturbation::kSimplified, "simplified"},
    Named{Perturbation::kOptionOrder, "option-order"},
    Named{Perturbation::kEmpty, "empty"},
    Named{Perturbation::kLong, "long"},
};

bool happens(Random& random, double rate) { return random.uniform() < rate; }

// A key beside this one on a QWERTY keyboard; the letter itself where it has none.
char32_t key_beside(char32_t c, Random& random) {
  constexpr std::array<std::string_view, 3> kRows{"qwertyuiop", "asdfghjkl", "zxcvbnm"};
  const bool upper = c >= 'A' && c <= 'Z';
  const char lower = static_cast<char>(upper ? c + 32 : c);
  for (const std::string_view row : kRows) {
    const size_t at = row.find(lower);
    if (at == std::string_view::npos) continue;
    const bool right = at == 0 || (at + 1 < row.size() && random.below(2) == 0);
    const auto key = static_cast<char32_t>(row[right ? at + 1 : at - 1]);
    return upper ? key - 32 : key;
  }
  return c;
}

std::u32string with_typos(const std::u32string& text, double rate, Random& random) {
  std::u32string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (!is_letter(c) || !happens(random, rate)) {
      out += c;
      continue;
    }
    const bool can_swap = i + 1 < text.size() && is_letter(text[i + 1]);
    const uint64_t kind = is_han(c) ? 0 : random.below(4);
    if (kind == 0 && can_swap) {
      out += text[++i];
      out += c;
    } else if (kind == 1) {
      // dropped
    } else if (kind == 2) {
      out.append(2, c);
    } else {
      out += key_beside(c, random);
    }
  }
  return out;
}

std::u32string with_random_case(const std::u32string& text, double rate, Random& random) {
  std::u32string out = text;
  for (char32_t& c : out) {
    if (!happens(random, rate)) continue;
    std::string letter;
    append_utf8(letter, c);
    const std::u32string upper = to_code_points(to_upper(letter)), lower = to_code_points(to_lower(letter));
    if (upper.size() == 1 && lower.size() == 1) c = c == upper[0] ? lower[0] : upper[0];
  }
  return out;
}

std::u32string with_white_space(const std::u32string& text, double rate, Random& random) {
  constexpr std::array<std::u32string_view, 3> kBlanks{U"  ", U"\t", U"\u00A0"};
  std::u32string out = U" ";
  for (const char32_t c : text) {
    if (c == ' ' && happens(random, rate)) {
      out += kBlanks[random.below(kBlanks.size())];
    } else {
      out += c;
    }
  }
  return out + U"  ";
}

std::u32string with_homoglyphs(const std::u32string& text, double rate, Random& random) {
  constexpr std::u32string_view kLatin = U"aceijopsxyABCEHIKMOPSTXY";
  constexpr std::u32string_view kCyrillic = U"асеіјорѕхуАВСЕНІКМОРЅТХУ";
  static_assert(kLatin.size() == kCyrillic.size());
  constexpr char32_t kToFullWidth = 0xFF01 - '!';
  std::u32string out = text;
  for (char32_t& c : out) {
    if (!happens(random, rate)) continue;
    if (const size_t at = kLatin.find(c); at != std::u32string_view::npos) {
      c = kCyrillic[at];
    } else if ((c >= '0' && c <= '9') || c == ',' || c == '?' || c == '!' || c == ':') {
      c += kToFullWidth;
    }
  }
  return out;
}

// Words with the white space behind them; each Chinese character is a word.
std::vector<std::u32string> words_of(const std::u32string& text) {
  std::vector<std::u32string> words;
  bool begins = true;
  for (const char32_t c : text) {
    if (is_han(c)) {
      words.emplace_back(1, c);
      begins = true;
    } else if (is_white_space(c)) {
      begins = true;
      if (words.empty()) words.emplace_back();
      words.back() += c;
    } else {
      if (std::exchange(begins, false)) words.emplace_back();
      words.back() += c;
    }
  }
  return words;
}

std::u32string with_swapped_words(const std::u32string& text, double rate, Random& random) {
  std::vector<std::u32string> words = words_of(text);
  const auto split = [](const std::u32string& word) {
    size_t end = word.size();
    while (end > 0 && is_white_space(word[end - 1])) --end;
    return end;
  };
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (!happens(random, rate)) continue;
    // The blanks stay where they are.
    const size_t a = split(words[i]), b = split(words[i + 1]);
    const std::u32string first = words[i].substr(0, a), second = words[i + 1].substr(0, b);
    words[i] = second + words[i].substr(a);
    words[i + 1] = first + words[i + 1].substr(b);
    ++i;
  }
  std::u32string out;
  for (const std::u32string& word : words) out += word;
  return out;
}

Result<std::string> transliterated(std::string_view utf8, const char* id) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::Transliterator> rules(
      icu::Transliterator::createInstance(id, UTRANS_FORWARD, status));
  if (U_FAILURE(status) || !rules)
    return fail(ErrorCode::kUnsupported, "this ICU has no rules '{}': {}", id, u_errorName(status));
  icu::UnicodeString text =
      icu::UnicodeString::fromUTF8(icu::StringPiece(utf8.data(), static_cast<int32_t>(utf8.size())));
  rules->transliterate(text);
  std::string out;
  return text.toUTF8String(out);
}

std::string made_long(std::string_view utf8, size_t n_characters) {
  constexpr std::string_view kFiller =
      "This sentence is here to take up space and says nothing about the question. ";
  std::string out;
  const uint64_t own = count_code_points(utf8);
  while (out.size() + own < n_characters) out += kFiller;
  return out + "\n\n" + std::string(utf8);
}

}  // namespace

const char* perturbation_name(Perturbation perturbation) {
  for (const Named& named : kNames)
    if (named.kind == perturbation) return named.name;
  return "unknown";
}

Result<Perturbation> find_perturbation(std::string_view name) {
  std::vector<std::string> names;
  std::string all;
  for (const Named& named : kNames) {
    if (named.name == name) return named.kind;
    names.emplace_back(named.name);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  return fail(ErrorCode::kInvalidArgument, "expected a perturbation of {}, got '{}'{}", all, name,
              did_you_mean(name, names));
}

Result<std::string> perturb(std::string_view utf8, Perturbation perturbation, const PerturbOptions& options) {
  if (!(options.rate >= 0 && options.rate <= 1))
    return fail(ErrorCode::kInvalidArgument, "perturb: expected a rate from 0 to 1, got {}", options.rate);
  if (options.long_characters > kMaxLong)
    return fail(ErrorCode::kLimit, "perturb: expected at most {} characters, got {}", kMaxLong,
                options.long_characters);
  Random random(options.seed);
  const std::string valid = to_valid_utf8(utf8);
  const std::u32string text = to_code_points(valid);
  switch (perturbation) {
    case Perturbation::kTypos:
      return from_code_points(with_typos(text, options.rate, random));
    case Perturbation::kUpperCase:
      return to_upper(valid);
    case Perturbation::kLowerCase:
      return to_lower(valid);
    case Perturbation::kRandomCase:
      return from_code_points(with_random_case(text, options.rate, random));
    case Perturbation::kWhiteSpace:
      return from_code_points(with_white_space(text, options.rate, random));
    case Perturbation::kHomoglyphs:
      return from_code_points(with_homoglyphs(text, options.rate, random));
    case Perturbation::kWordSwap:
      return from_code_points(with_swapped_words(text, options.rate, random));
    case Perturbation::kTraditional:
      return transliterated(valid, "Simplified-Traditional");
    case Perturbation::kSimplified:
      return transliterated(valid, "Traditional-Simplified");
    case Perturbation::kOptionOrder:
      return valid;
    case Perturbation::kEmpty:
      return std::string();
    case Perturbation::kLong:
      return made_long(valid, options.long_characters);
  }
  return valid;
}

Result<Suite> perturb_suite(const Suite& suite, Perturbation perturbation, const PerturbOptions& options) {
  if (suite.kind == SuiteKind::kCode)
    return fail(ErrorCode::kUnsupported,
                "the questions of a code suite are programs: they are not perturbed");
  if (perturbation == Perturbation::kOptionOrder && suite.kind != SuiteKind::kChoice)
    return fail(ErrorCode::kUnsupported, "option-order is for suites of choices; '{}' is of kind {}",
                suite.name, suite_kind_name(suite.kind));
  Suite changed = suite;
  PerturbOptions of_row = options;
  for (SuiteRow& row : changed.rows) {
    ++of_row.seed;
    row.question = TRY(perturb(row.question, perturbation, of_row));
    if (perturbation == Perturbation::kTraditional || perturbation == Perturbation::kSimplified)
      row.context = TRY(perturb(row.context, perturbation, of_row));
    if (perturbation != Perturbation::kOptionOrder) continue;
    Random random(of_row.seed);
    for (size_t i = row.choices.size(); i > 1; --i) {
      const size_t j = random.below(i);
      std::swap(row.choices[i - 1], row.choices[j]);
      if (row.answer == static_cast<int32_t>(i - 1)) {
        row.answer = static_cast<int32_t>(j);
      } else if (row.answer == static_cast<int32_t>(j)) {
        row.answer = static_cast<int32_t>(i - 1);
      }
    }
  }
  return changed;
}

}  // namespace volant
