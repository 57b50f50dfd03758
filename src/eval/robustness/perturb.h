// Text as people really type it: with typos, odd case and white space, look-alike letters, swapped words, the
// other script of Chinese, empty, very long. Pure functions: the same text, rate and seed give the same
// result on every machine. For robustness suites and for noise in training.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "eval/suites/suite.h"

namespace volant {

enum class Perturbation {
  kTypos,        // letters dropped, doubled, swapped with the next, or hit beside (QWERTY); Chinese: swapped
  kUpperCase,    // all of it
  kLowerCase,    // all of it
  kRandomCase,   // single letters
  kWhiteSpace,   // blanks doubled, tabs and no-break spaces for blanks, blanks around the text
  kHomoglyphs,   // Latin letters as the Cyrillic ones that look the same, digits and marks in full width
  kWordSwap,     // neighbouring words (of Chinese: characters) change places
  kTraditional,  // simplified Chinese as traditional, all of it
  kSimplified,   // and back
  kOptionOrder,  // the choices of a question in another order; texts stay as they are
  kEmpty,        // nothing is left
  kLong,         // the text at the end of much text that says nothing
};
const char* perturbation_name(Perturbation perturbation);  // "typos", "upper-case", ...
// kInvalidArgument with the nearest name and all of them.
Result<Perturbation> find_perturbation(std::string_view name);

struct PerturbOptions {
  double rate = 0.05;  // share of letters, blanks or words that change, where not all do; 0 to 1
  uint64_t seed = 1;
  size_t long_characters = 20'000;  // at most 10 million
};

// Invalid UTF-8 comes out with U+FFFD. kInvalidArgument for options out of range.
Result<std::string> perturb(std::string_view utf8, Perturbation perturbation,
                            const PerturbOptions& options = {});

// A suite whose questions are perturbed, each with a seed of its own; answers, ids and order stay (with
// kOptionOrder the right index moves). kUnsupported for suites of code, whose questions are programs, and for
// kOptionOrder without choices.
Result<Suite> perturb_suite(const Suite& suite, Perturbation perturbation,
                            const PerturbOptions& options = {});

}  // namespace volant
