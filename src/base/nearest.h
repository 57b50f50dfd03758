// The known name that a mistyped one most likely meant, for "unknown key 'learnign_rate'".
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace volant {
// The closest of `known` by Damerau-Levenshtein distance; empty when none is close.
std::string nearest_name(std::string_view unknown, std::span<const std::string> known);
// ", did you mean 'x'?" or an empty text.
std::string did_you_mean(std::string_view unknown, std::span<const std::string> known);
}  // namespace volant
