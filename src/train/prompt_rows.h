// Rows that ask and leave the answer to a model: {"prompt": text or [messages]} or {"messages": [...]} whose
// last turn, when the assistant's, is left out; with the row's other fields.
#pragma once
#include <string>
#include <vector>

#include "data/messages.h"
#include "io/file.h"

namespace volant {

struct PromptRow {
  JsonArray messages;  // as chat templates take them; at least one
  JsonObject row;      // as it was read
  std::string place;   // "file:line"
};

// JSON Lines; errors name file and line. kInvalidArgument when there is none, kLimit above 2^20.
Result<std::vector<PromptRow>> read_prompt_rows(const Path& file);

}  // namespace volant
