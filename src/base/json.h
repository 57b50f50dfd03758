// JSON in memory: Boost.JSON under our error type, and readers of fields that say what was
// expected when a field is missing or of the wrong type. Include this, not <boost/json.hpp>.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace volant {

using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;

// Parses one JSON text (RFC 8259, at most 64 levels deep). Errors name the byte offset.
Result<Json> parse_json(std::string_view text);

// Compact text, keys in insertion order; numbers as short as they round-trip.
std::string dump_json(const Json& value);
// The same with two-space indentation and a final line end: for files that people read.
std::string dump_json_pretty(const Json& value);

// The field `key` of an object. Missing or of another type: kParse, naming key and type.
Result<std::string> json_string(const Json& object, std::string_view key);
Result<int64_t> json_int(const Json& object, std::string_view key);
Result<double> json_number(const Json& object, std::string_view key);
Result<bool> json_bool(const Json& object, std::string_view key);
// The same, with a default for a field that is missing or null; a wrong type is an error still.
Result<std::string> json_string_or(const Json& object, std::string_view key, std::string_view other);
Result<int64_t> json_int_or(const Json& object, std::string_view key, int64_t other);
Result<double> json_number_or(const Json& object, std::string_view key, double other);
Result<bool> json_bool_or(const Json& object, std::string_view key, bool other);
// The field itself, or nullptr when `object` is not an object or has no such field or it is null.
const Json* json_find(const Json& object, std::string_view key);
const Json* json_find(const JsonObject& object,
                      std::string_view key);  // no temporary Json, whose field would dangle

}  // namespace volant
