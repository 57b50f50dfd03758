#include "base/json.h"

#include <boost/json/parser.hpp>
#include <cmath>

namespace volant {
namespace {

const char* kind_name(const Json& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return "null";
    case boost::json::kind::bool_:
      return "a boolean";
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
    case boost::json::kind::double_:
      return "a number";
    case boost::json::kind::string:
      return "a string";
    case boost::json::kind::array:
      return "an array";
    case boost::json::kind::object:
      return "an object";
  }
  return "something else";
}

Error wrong_type(std::string_view key, const char* expected, const Json* got) {
  if (got == nullptr)
    return fail(ErrorCode::kParse, "expected field '{}' ({}), and it is missing", key, expected);
  return fail(ErrorCode::kParse, "expected field '{}' to be {}, got {}", key, expected, kind_name(*got));
}

Result<std::string> as_string(std::string_view key, const Json* field) {
  if (field == nullptr || !field->is_string()) return wrong_type(key, "a string", field);
  return std::string(field->get_string());
}

Result<int64_t> as_int(std::string_view key, const Json* field) {
  if (field != nullptr) {
    if (field->is_int64()) return field->get_int64();
    if (field->is_uint64() && field->get_uint64() <= INT64_MAX)
      return static_cast<int64_t>(field->get_uint64());
    if (field->is_double()) {  // 1e3 and 512.0 are integers too
      const double number = field->get_double();
      if (std::trunc(number) == number && std::abs(number) < 9e15) return static_cast<int64_t>(number);
    }
  }
  return wrong_type(key, "an integer", field);
}

Result<double> as_number(std::string_view key, const Json* field) {
  if (field == nullptr || !field->is_number()) return wrong_type(key, "a number", field);
  return field->to_number<double>();
}

Result<bool> as_bool(std::string_view key, const Json* field) {
  if (field == nullptr || !field->is_bool()) return wrong_type(key, "a boolean", field);
  return field->get_bool();
}

// Boost writes 0.5 as 5E-1; the shortest form that reads back is kinder to people and to scripts.
void write_scalar(const Json& value, std::string& out) {
  if (value.is_double()) {
    const double number = value.get_double();
    out += std::isfinite(number) ? fmt::format("{}", number) : "null";
  } else {
    out += boost::json::serialize(value);
  }
}

void write_pretty(const Json& value, std::string& out, size_t depth) {
  const std::string indent(2 * (depth + 1), ' ');
  const std::string closing(2 * depth, ' ');
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    const char* separator = "\n";
    for (const auto& field : *object) {
      out += separator + indent + boost::json::serialize(boost::json::string(field.key())) + ": ";
      write_pretty(field.value(), out, depth + 1);
      separator = ",\n";
    }
    out += '\n' + closing + '}';
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    const char* separator = "\n";
    for (const auto& item : *array) {
      out += separator + indent;
      write_pretty(item, out, depth + 1);
      separator = ",\n";
    }
    out += '\n' + closing + ']';
  } else {
    write_scalar(value, out);
  }
}

void write_compact(const Json& value, std::string& out) {
  if (const auto* object = value.if_object()) {
    out += '{';
    bool first = true;
    for (const auto& field : *object) {
      if (!first) out += ',';
      first = false;
      out += boost::json::serialize(boost::json::string(field.key())) + ':';
      write_compact(field.value(), out);
    }
    out += '}';
  } else if (const auto* array = value.if_array()) {
    out += '[';
    bool first = true;
    for (const auto& item : *array) {
      if (!first) out += ',';
      first = false;
      write_compact(item, out);
    }
    out += ']';
  } else {
    write_scalar(value, out);
  }
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = 64;
  boost::json::parser parser({}, options);
  boost::json::error_code error;
  const size_t read = parser.write_some(text.data(), text.size(), error);
  if (!error && read < text.size()) {
    const auto rest = text.substr(read).find_first_not_of(" \t\r\n");
    if (rest != std::string_view::npos) {
      return fail(ErrorCode::kParse, "expected the end of the JSON text at byte {}", read + rest);
    }
  }
  if (error == boost::json::error::incomplete) {
    return fail(ErrorCode::kParse, "JSON ends too early, after {} bytes", text.size());
  }
  if (error) return fail(ErrorCode::kParse, "not valid JSON at byte {}: {}", read, error.message());
  return parser.release();
}

std::string dump_json(const Json& value) {
  std::string out;
  write_compact(value, out);
  return out;
}

std::string dump_json_pretty(const Json& value) {
  std::string out;
  write_pretty(value, out, 0);
  out += '\n';
  return out;
}

const Json* json_find(const Json& object, std::string_view key) {
  const JsonObject* fields = object.if_object();
  return fields == nullptr ? nullptr : json_find(*fields, key);
}

const Json* json_find(const JsonObject& object, std::string_view key) {
  const Json* field = object.if_contains(key);
  return field == nullptr || field->is_null() ? nullptr : field;
}

Result<std::string> json_string(const Json& object, std::string_view key) {
  return as_string(key, json_find(object, key));
}
Result<int64_t> json_int(const Json& object, std::string_view key) {
  return as_int(key, json_find(object, key));
}
Result<double> json_number(const Json& object, std::string_view key) {
  return as_number(key, json_find(object, key));
}
Result<bool> json_bool(const Json& object, std::string_view key) {
  return as_bool(key, json_find(object, key));
}

Result<std::string> json_string_or(const Json& object, std::string_view key, std::string_view other) {
  const Json* field = json_find(object, key);
  return field == nullptr ? Result<std::string>(std::string(other)) : as_string(key, field);
}
Result<int64_t> json_int_or(const Json& object, std::string_view key, int64_t other) {
  const Json* field = json_find(object, key);
  return field == nullptr ? Result<int64_t>(other) : as_int(key, field);
}
Result<double> json_number_or(const Json& object, std::string_view key, double other) {
  const Json* field = json_find(object, key);
  return field == nullptr ? Result<double>(other) : as_number(key, field);
}
Result<bool> json_bool_or(const Json& object, std::string_view key, bool other) {
  const Json* field = json_find(object, key);
  return field == nullptr ? Result<bool>(other) : as_bool(key, field);
}

}  // namespace volant
