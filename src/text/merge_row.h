// One row of `merges` in a tokenizer.json: "a b", or ["a", "b"] as newer versions write it.
#pragma once
#include <string>
#include <utility>

#include "base/json.h"

namespace volant {

// The two texts that are merged. kParse names `rank`, the row's place in the list.
Result<std::pair<std::string, std::string>> parse_merge_row(const Json& row, size_t rank);

}  // namespace volant
