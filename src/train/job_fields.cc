#include "train/job_fields.h"

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
  if (std::find(words.begin(), words.end(), value) != words.end()) return {};
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return fail(ErrorCode::kInvalidArgument, "'{}': expected one of {}, got '{}'", key, list, value);
}
Status read_path(const Json& json, std::string_view key, const Path& folder, Path& path) {
  const std::string text = TRY(json_string_or(json, key, ""));
  if (!text.empty()) path = (folder / text).lexically_normal();
  return {};
}

}  // namespace volant
