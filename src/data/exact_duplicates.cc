#include "data/exact_duplicates.h"

#include <unicode/uchar.h>

#include <cstdlib>

#include "base/digest.h"
#include "text/unicode.h"

namespace volant {

std::string text_for_digest(std::string_view utf8) {
  std::u32string out;
  bool blank = false;
  for (const char32_t c : to_code_points(utf8)) {
    if (u_isUWhiteSpace(static_cast<UChar32>(c))) {
      blank = !out.empty();
      continue;
    }
    if (blank) out.push_back(' ');
    blank = false;
    out.push_back(static_cast<char32_t>(u_foldCase(static_cast<UChar32>(c), U_FOLD_CASE_DEFAULT)));
  }
  return from_code_points(out);
}

std::optional<uint64_t> ExactDuplicates::add(uint64_t n, std::string_view utf8) {
  const std::string digest = sha256_hex(text_for_digest(utf8));
  const std::array<uint64_t, 2> key = {std::strtoull(digest.substr(0, 16).c_str(), nullptr, 16),
                                       std::strtoull(digest.substr(16, 16).c_str(), nullptr, 16)};
  const auto [at, inserted] = first_.emplace(key, n);
  if (inserted) return std::nullopt;
  return at->second;
}

}  // namespace volant
