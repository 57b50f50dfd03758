#include "base/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/nearest.h"

namespace volant {

Status check_keys(const JsonObject& object, std::span<const std::string> known, std::string_view inside) {
  for (const auto& field : object) {
    const std::string key(field.key());
    if (std::find(known.begin(), known.end(), key) == known.end())
      return fail(ErrorCode::kInvalidArgument, "unknown key '{}'{}{}", key, inside, did_you_mean(key, known));
  }
  return {};
}

Status check_word(std::string_view key, const std::string& word, std::span<const std::string> words) {
  if (std::find(words.begin(), words.end(), word) != words.end()) return {};
  return fail(ErrorCode::kInvalidArgument, "'{}': expected one of {}, got '{}'{}", key,
              fmt::join(words, ", "), word, did_you_mean(word, words));
}

// The field as a Json: a JsonObject given to json_find would be copied.
Result<const Json*> object_of(const Json& json, std::string_view key) {
  const Json* found = json_find(json, key);
  if (found == nullptr || !found->is_object())
    return fail(ErrorCode::kInvalidArgument, "expected an object '{}'", key);
  return found;
}

Status in_range(std::string_view key, double value, double low, double high) {
  if (std::isfinite(value) && value >= low && value <= high) return {};
  return fail(ErrorCode::kInvalidArgument, "'{}': expected {} to {}, got {}", key, low, high, value);
}

Status read_int(const Json& json, std::string_view key, int64_t low, int64_t high, int64_t& value) {
  value = TRY(json_int_or(json, key, value));
  return in_range(key, static_cast<double>(value), static_cast<double>(low), static_cast<double>(high));
}
Status read_number(const Json& json, std::string_view key, double low, double high, double& value) {
  value = TRY(json_number_or(json, key, value));
  return in_range(key, value, low, high);
}
Status read_word(const Json& json, std::string_view key, std::span<const std::string> words,
                 std::string& value) {
  value = TRY(json_string_or(json, key, value));
  return check_word(key, value, words);
}

}  // namespace volant
