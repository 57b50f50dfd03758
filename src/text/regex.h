// A compiled regular expression over UTF-8 (PCRE2 with JIT), for the patterns of pre-tokenisers.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace volant {

class Regex {
 public:
  // Syntax of Oniguruma as tokenizer.json uses it;
  // `\s` is Unicode's White_Space. kParse, kLimit, kUnsupported.
  static Result<Regex> compile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();
  const std::string& pattern() const { return pattern_; }
  // The first match at or after `pos` of valid UTF-8: begin and end. begin == npos: none (or one that would
  // take too long: the work for one match has a limit). Empty matches are passed over.
  std::pair<size_t, size_t> find(std::string_view utf8, size_t pos) const;

 private:
  struct Code;
  Regex(std::string pattern, std::unique_ptr<Code> code);
  std::string pattern_;
  std::unique_ptr<Code> code_;
};

}  // namespace volant
