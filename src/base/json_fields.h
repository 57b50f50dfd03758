// Reading the fields of JSON that people write (job.json, recipes): unknown keys, ranges and words are
// refused by name. A field that is missing keeps the value it had.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"

namespace volant {

// `inside` follows the key in the message: " in 'model'".
Status check_keys(const JsonObject& object, std::span<const std::string> known, std::string_view inside);
// `key` is how the message names it: "adapter.kind".
Status check_word(std::string_view key, const std::string& word, std::span<const std::string> words);
// The field `key`, which must be an object.
Result<const Json*> object_of(const Json& json, std::string_view key);
Status in_range(std::string_view key, double value, double low, double high);
Status read_int(const Json& json, std::string_view key, int64_t low, int64_t high, int64_t& value);
Status read_number(const Json& json, std::string_view key, double low, double high, double& value);
Status read_word(const Json& json, std::string_view key, std::span<const std::string> words,
                 std::string& value);

}  // namespace volant
