#include "data/row.h"

#include "base/digest.h"
#include "data/messages.h"

namespace volant {
namespace {

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
    row.messages = TRY(canonical_messages(*messages));
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
