#include "data/row.h"

#include "base/digest.h"

namespace volant {
namespace {

constexpr size_t kMaxMessages = 4096;

std::string joined(const JsonArray& messages) {
  std::string out;
  for (const Json& message : messages) {
    const Json* content = json_find(message, "content");
    if (content == nullptr || !content->is_string() || content->get_string().empty()) continue;
    if (!out.empty()) out += "\n\n";
    out += std::string_view(content->get_string());
  }
  return out;
}

Status check_messages(const Json& messages) {
  if (!messages.is_array()) return fail(ErrorCode::kParse, "expected \"messages\" to be an array");
  const JsonArray& list = messages.get_array();
  if (list.empty() || list.size() > kMaxMessages) {
    return fail(ErrorCode::kParse, "expected 1 to {} messages, got {}", kMaxMessages, list.size());
  }
  for (const Json& message : list) {
    TRY(json_string(message, "role"));
    // A message that only calls tools has null as its content.
    if (json_find(message, "tool_calls") == nullptr) TRY(json_string(message, "content"));
  }
  return {};
}

bool is_known(std::string_view key) {
  return key == "id" || key == "text" || key == "messages" || key == "source" || key == "path" ||
         key == "record" || key == "lang";
}

}  // namespace

void Row::map_text(const std::function<std::string(std::string_view)>& f) {
  if (!is_conversation()) {
    text = f(text);
    return;
  }
  for (Json& message : messages) {
    Json* content = message.as_object().if_contains("content");
    if (content != nullptr && content->is_string()) *content = f(std::string_view(content->get_string()));
  }
  text = joined(messages);
}

Result<Row> row_from_json(const Json& json) {
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected an object with \"text\" or \"messages\"");
  Row row;
  row.source = TRY(json_string_or(json, "source", ""));
  row.path = TRY(json_string_or(json, "path", ""));
  row.record = static_cast<uint64_t>(TRY(json_int_or(json, "record", 0)));
  row.lang = TRY(json_string_or(json, "lang", ""));
  if (const Json* messages = json_find(json, "messages"); messages != nullptr) {
    TRY(check_messages(*messages));
    row.messages = messages->get_array();
    row.text = joined(row.messages);
    for (const auto& [key, value] : json.get_object()) {
      if (!is_known(key)) row.extra[key] = value;
    }
  } else {
    row.text = TRY(json_string(json, "text"));
  }
  row.id = TRY(json_string_or(json, "id", ""));
  if (row.id.empty()) row.id = sha256_hex(row.source + "\n" + row.text).substr(0, 16);
  return row;
}

Json row_to_json(const Row& row, bool with_place) {
  JsonObject out;
  out["id"] = row.id;
  if (row.is_conversation()) {
    out["messages"] = row.messages;
  } else {
    out["text"] = row.text;
  }
  out["lang"] = row.lang;
  out["source"] = row.source;
  if (with_place) {
    out["path"] = row.path;
    out["record"] = row.record;
  }
  for (const auto& [key, value] : row.extra) out[key] = value;
  return out;
}

}  // namespace volant
