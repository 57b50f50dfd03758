// Row: one document on its way through prepare(). A conversation ("messages") goes the same way: its
// contents, joined, are the text by which it is judged, and each content is cleaned and masked by itself.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "base/json.h"

namespace volant {

struct Row {
  std::string id, text, source, path, lang;
  uint64_t record = 0;
  JsonArray messages;  // empty for a document
  JsonObject extra;    // other fields of a conversation ("tools", "weight"), handed on as they are

  bool is_conversation() const { return !messages.empty(); }
  // Replaces the text, or each content of a conversation and its joined text.
  void map_text(const std::function<std::string(std::string_view)>& f);
};

// A collected row; kParse says which field is missing or of the wrong type.
Result<Row> row_from_json(const Json& json);
// {"id", "text" or "messages", "lang", "source", ...}, as training reads it;
// `with_place` adds "path" and "record".
Json row_to_json(const Row& row, bool with_place);

}  // namespace volant
