// Cut: a document that is too long as several, at the best place near the limit: a blank line, a line end,
// the end of a sentence, a blank, and only then anywhere.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace volant {
// Pieces of at most `max_chars` (1 or more) code points, in order; together they hold everything but the
// white space at the cuts.
std::vector<std::string> cut_text(std::string_view utf8, uint64_t max_chars);
}  // namespace volant
