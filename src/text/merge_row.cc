#include "text/merge_row.h"

namespace volant {

Result<std::pair<std::string, std::string>> parse_merge_row(const Json& row, size_t rank) {
  using Pair = std::pair<std::string, std::string>;
  if (row.is_string()) {
    const std::string text(row.get_string());
    const size_t blank = text.find(' ');
    if (blank == std::string::npos) return fail(ErrorCode::kParse, "merge {} is no pair: '{}'", rank, text);
    return Pair(text.substr(0, blank), text.substr(blank + 1));
  }
  if (row.is_array() && row.get_array().size() == 2 && row.get_array()[0].is_string() &&
      row.get_array()[1].is_string())
    return Pair(row.get_array()[0].get_string(), row.get_array()[1].get_string());
  return fail(ErrorCode::kParse, "merge {} is no pair: expected \"a b\" or [\"a\", \"b\"]", rank);
}

}  // namespace volant
