// Rewards that a rule gives to an answer: 1 when it is right, else 0.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "text/regex.h"

namespace volant {

class Reward {
 public:
  // exact_match  the answer is the expected text, white space around both left out
  // arithmetic   the last number in the answer equals the last one in the expected text ("1,234.0" is 1234)
  // regex        with `pattern`: its last match in the answer is the expected text; without: the expected
  //              text is itself the pattern, and matches somewhere in the answer
  // kInvalidArgument for another name, or a pattern with another reward than "regex"; kParse for a pattern.
  static Result<Reward> make(std::string_view name, const std::string& pattern);
  // Checks what can be wrong with an expected text: no number, no pattern.
  Status check(std::string_view expected) const;
  double of(std::string_view answer, std::string_view expected) const;

 private:
  enum class Kind {  // in the order of job_words("grpo.reward")
    kExactMatch,
    kArithmetic,
    kRegex
  };
  Reward(Kind kind, std::optional<Regex> pattern) : kind_(kind), pattern_(std::move(pattern)) {}
  Kind kind_;
  std::optional<Regex> pattern_;
};

// The last number in a text: digits with an optional sign, thousands separated by commas, a decimal point.
std::optional<double> last_number(std::string_view text);

}  // namespace volant
