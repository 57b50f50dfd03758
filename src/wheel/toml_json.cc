#include "wheel/toml_json.h"

#include <cstdlib>

namespace volant {
namespace {

constexpr int kMaxDepth = 32;

Json json_at(const toml::node& node, int depth) {
  if (depth > kMaxDepth) throw std::runtime_error("tables are nested too deeply");
  if (const auto* table = node.as_table()) {
    JsonObject object;
    for (const auto& [key, value] : *table) object[std::string(key.str())] = json_at(value, depth + 1);
    return object;
  }
  if (const auto* array = node.as_array()) {
    JsonArray list;
    for (const toml::node& item : *array) list.push_back(json_at(item, depth + 1));
    return list;
  }
  if (const auto* text = node.as_string()) return Json(text->get());
  if (const auto* integer = node.as_integer()) return Json(integer->get());
  if (const auto* number = node.as_floating_point()) return Json(number->get());
  if (const auto* flag = node.as_boolean()) return Json(flag->get());
  throw std::runtime_error("dates and times are not expected here");
}

}  // namespace

Json json_of(const toml::node& node) { return json_at(node, 0); }

Result<std::string> with_variables(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find("${", at), end = begin == text.npos ? text.npos : text.find('}', begin);
    if (end == text.npos) return out + std::string(text.substr(at));
    out += text.substr(at, begin - at);
    const std::string_view inside = text.substr(begin + 2, end - begin - 2);
    const size_t dash = inside.find(":-");
    const std::string name(inside.substr(0, dash));
    const char* value = std::getenv(name.c_str());
    if (value == nullptr && dash == inside.npos)
      return fail(ErrorCode::kInvalidArgument, "the variable {} is not set", name);
    out += value != nullptr ? std::string_view(value) : inside.substr(dash + 2);
    at = end + 1;
  }
  return out;
}

Status put_in_variables(Json& value) {
  if (value.is_object()) {
    for (auto& field : value.as_object()) TRY(put_in_variables(field.value()));
  } else if (value.is_array()) {
    for (Json& item : value.as_array()) TRY(put_in_variables(item));
  } else if (value.is_string()) {
    value = Json(TRY(with_variables(std::string_view(value.as_string()))));
  }
  return {};
}

}  // namespace volant
