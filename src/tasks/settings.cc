#include "tasks/settings.h"

#include <algorithm>
#include <cmath>

#include "base/json_fields.h"

namespace volant {

Settings::Settings(const Json& json, std::string section) : json_(json), section_(std::move(section)) {
  if (!json.is_object()) fails(fail(ErrorCode::kInvalidArgument, "expected [{}] to be a table", section_));
}

void Settings::fails(Error error) {
  if (status_) status_ = std::move(error);
}

void Settings::wrong(std::string_view key, std::string_view expected, const Json& got) {
  fails(fail(ErrorCode::kInvalidArgument, "expected '{}' in [{}] to be {}, got {}", key, section_, expected,
             dump_json(got)));
}

const Json* Settings::find(std::string_view key) {
  known_.emplace_back(key);
  return json_find(json_, key);
}

std::string Settings::text(std::string_view key, std::string_view otherwise) {
  const Json* value = find(key);
  if (value == nullptr) return std::string(otherwise);
  if (value->is_string()) return std::string(value->get_string());
  wrong(key, "a text", *value);
  return std::string(otherwise);
}

std::string Settings::choice(std::string_view key, std::initializer_list<std::string_view> words) {
  std::string word = text(key, *words.begin());
  if (std::find(words.begin(), words.end(), word) == words.end()) {
    std::string list;
    for (const std::string_view known : words)
      list += (list.empty() ? "\"" : ", \"") + std::string(known) + '"';
    wrong(key, "one of " + list, Json(word));
  }
  return word;
}

int64_t Settings::integer(std::string_view key, int64_t otherwise, int64_t low, int64_t high) {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->is_int64() && value->get_int64() >= low && value->get_int64() <= high) return value->get_int64();
  wrong(key, fmt::format("a whole number from {} to {}", low, high), *value);
  return otherwise;
}

double Settings::number(std::string_view key, double otherwise, double low, double high) {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->is_number()) {
    const double x = value->to_number<double>();
    if (x >= low && x <= high) return x;
  }
  wrong(key, fmt::format("a number from {} to {}", low, high), *value);
  return otherwise;
}

bool Settings::flag(std::string_view key, bool otherwise) {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->is_bool()) return value->get_bool();
  wrong(key, "true or false", *value);
  return otherwise;
}

std::vector<std::string> Settings::texts(std::string_view key) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (value->is_string()) return {std::string(value->get_string())};
  std::vector<std::string> out;
  const bool all_texts =
      value->is_array() && std::all_of(value->get_array().begin(), value->get_array().end(),
                                       [](const Json& entry) { return entry.is_string(); });
  if (!all_texts) {
    wrong(key, "a text or a list of texts", *value);
    return out;
  }
  for (const Json& entry : value->get_array()) out.emplace_back(entry.get_string());
  return out;
}

std::string Settings::column(std::string_view key, std::string_view otherwise) {
  const Json* value = json_find(json_, key);
  if (value == nullptr || !value->is_int64()) return text(key, otherwise);
  return std::to_string(integer(key, 0, 0, 100'000));
}

std::vector<Path> Settings::paths(std::string_view key, const Path& base) {
  std::vector<Path> out;
  for (const std::string& name : texts(key)) {
    const Path path = base / name;
    if (name.find_first_of("*?[") == std::string::npos) {
      out.push_back(path);
      continue;
    }
    Result<std::vector<Path>> found = glob(path.string());
    if (found && found->empty())
      found = fail(ErrorCode::kNotFound, "no file matches '{}' in [{}]: {}", key, section_, path.string());
    if (!found) {
      fails(std::move(found).error());
      return {};
    }
    out.insert(out.end(), found->begin(), found->end());
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> Settings::words_by_name(
    std::string_view key, std::initializer_list<std::string_view> words) {
  std::vector<std::pair<std::string, std::string>> out;
  const Json* value = find(key);
  if (value == nullptr) return out;
  if (!value->is_object()) {
    wrong(key, "a table", *value);
    return out;
  }
  for (const auto& entry : value->get_object()) {
    const bool known =
        entry.value().is_string() &&
        std::find(words.begin(), words.end(), std::string_view(entry.value().get_string())) != words.end();
    if (known) {
      out.emplace_back(entry.key(), entry.value().get_string());
      continue;
    }
    std::string list;
    for (const std::string_view word : words)
      list += (list.empty() ? "\"" : " or \"") + std::string(word) + '"';
    wrong(fmt::format("{}.{}", key, std::string_view(entry.key())), list, entry.value());
  }
  return out;
}

void Settings::known(std::span<const std::string_view> keys) {
  known_.insert(known_.end(), keys.begin(), keys.end());
}

Status Settings::finish() {
  if (!status_ || !json_.is_object()) return status_;
  return check_keys(json_.get_object(), known_, fmt::format(" in [{}]", section_));
}

}  // namespace volant
