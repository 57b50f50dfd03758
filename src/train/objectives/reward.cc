#include "train/objectives/reward.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/job_words.h"

namespace volant {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view last_match(const Regex& pattern, std::string_view text) {
  std::string_view last;
  for (size_t at = 0; at <= text.size();) {
    const auto [begin, end] = pattern.find(text, at);
    if (begin == std::string_view::npos) break;
    last = text.substr(begin, end - begin);
    at = end;
  }
  return last;
}

}  // namespace

std::optional<double> last_number(std::string_view text) {
  size_t end = text.size();
  while (end > 0 && !is_digit(text[end - 1])) --end;
  if (end == 0) return std::nullopt;
  size_t begin = end;
  // A point or a comma belongs to the number when a digit stands before it.
  while (begin > 0 && (is_digit(text[begin - 1]) || ((text[begin - 1] == '.' || text[begin - 1] == ',') &&
                                                     begin > 1 && is_digit(text[begin - 2]))))
    --begin;
  std::string digits;
  if (begin > 0 && text[begin - 1] == '-') digits = "-";
  std::copy_if(text.begin() + static_cast<std::ptrdiff_t>(begin),
               text.begin() + static_cast<std::ptrdiff_t>(end), std::back_inserter(digits),
               [](char c) { return c != ','; });
  double number = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  return number;
}

Result<Reward> Reward::make(std::string_view name, const std::string& pattern) {
  const std::vector<std::string>& names = job_words("grpo.reward");
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return fail(ErrorCode::kInvalidArgument, "unknown reward '{}'", name);
  const auto kind = static_cast<Kind>(found - names.begin());
  if (pattern.empty()) return Reward(kind, std::nullopt);
  if (kind != Kind::kRegex)
    return fail(ErrorCode::kInvalidArgument, "'pattern': expected with the reward \"regex\" alone, got '{}'",
                name);
  return Reward(kind, TRY(Regex::compile(pattern)));
}

Status Reward::check(std::string_view expected) const {
  if (kind_ == Kind::kArithmetic && !last_number(expected))
    return fail(ErrorCode::kInvalidArgument, "'answer': expected a number, got '{}'", expected);
  if (kind_ == Kind::kRegex && !pattern_) TRY(Regex::compile(expected));
  return {};
}

double Reward::of(std::string_view answer, std::string_view expected) const {
  switch (kind_) {
    case Kind::kArithmetic: {
      const std::optional<double> got = last_number(answer), wanted = last_number(expected);
      return got && wanted && std::abs(*got - *wanted) <= 1e-9 * std::max(1.0, std::abs(*wanted)) ? 1 : 0;
    }
    case Kind::kRegex: {
      if (pattern_) return trimmed(last_match(*pattern_, answer)) == trimmed(expected) ? 1 : 0;
      const auto pattern = Regex::compile(expected);
      return pattern && pattern->find(answer, 0).first != std::string_view::npos ? 1 : 0;
    }
    case Kind::kExactMatch:
      break;
  }
  return trimmed(answer) == trimmed(expected) ? 1 : 0;
}

}  // namespace volant
