// Clean: one text as it should have been. In this order: valid UTF-8, UTF-8 that was decoded as Latin-1
// repaired, terminal escape sequences (ECMA-48) and overstrikes ("_\bx", "'\be") resolved, control and
// invisible characters removed, Unicode normalised, white space tidied. Cleaning a clean text changes
// nothing. Does not judge the text.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant {

enum class Normalization { kNone, kNfc, kNfkc };

// "nfc", "nfkc" or "none"; kInvalidArgument otherwise.
Result<Normalization> normalization_of(std::string_view name);

// What cleaning had to do; names as in the report.
struct CleanChanges {
  bool invalid_utf8 = false, mojibake = false, ansi = false, overstrike = false, control = false;
  bool normalized = false, whitespace = false;
  bool any() const {
    return invalid_utf8 || mojibake || ansi || overstrike || control || normalized || whitespace;
  }
  // "ansi", "overstrike".
  std::vector<std::string> names() const;
};

std::string clean_text(std::string_view bytes, Normalization normalization = Normalization::kNfc,
                       CleanChanges* changes = nullptr);

}  // namespace volant
