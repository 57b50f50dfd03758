// Messages: the ways in which files write a dialogue, as the one that chat templates take: a list of {"role":
// system | user | assistant | tool, "content": text, "tool_calls"?: [...]}. Reads OpenAI's messages and
// ShareGPT's turns (from, value; LLaMA-Factory's function_call and observation), dialogues that are one text
// ("\n\nHuman: ...\n\nAssistant: ...", as in HH-RLHF), and tools as a list or as JSON text. Fields of a
// message that are not known here ("name", "weight", "train") are handed on. Knows no rows: see row_layout.h.
#pragma once
#include <optional>

#include "base/json.h"

namespace volant {

// A list of messages or turns; kParse names the message and the field. Content in parts ("type": "text") is
// joined; a part that is no text is kUnsupported. Arguments of tool calls become objects, as templates
// expect.
Result<JsonArray> canonical_messages(const Json& list);
Result<JsonObject> canonical_message(const Json& message);

// [{"type": "function", "function": {name, description, parameters}}, ...] from a list or its JSON text, with
// or without the outer object; empty when there are none.
Result<JsonArray> canonical_tools(const Json& tools);

// A dialogue that is one text; nothing when the text does not begin with a turn of "Human:".
std::optional<JsonArray> messages_of_dialogue(std::string_view text);

JsonObject message_of(std::string_view role, std::string_view content);

}  // namespace volant
