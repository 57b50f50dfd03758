// RowLayout: rows of training data as users have them -> the rows that training reads, one or several each:
//
//   a document      {"text": ...}
//   a conversation  {"messages": [...], "tools"?: [...]}
//   a preference    {"prompt": [messages], "chosen": [messages], "rejected": [messages], "tools"?}
//   a judgement     {"prompt": [messages], "completion": [messages], "label": true | false, "tools"?}
//
// with the other fields of the row ("weight", "id") as they are. The layout is seen from the fields: OpenAI
// messages, Alpaca (instruction, input, output, system, history), ShareGPT (conversations), prompt and
// completion, prompt/chosen/rejected (texts, messages, whole dialogues, LLaMA-Factory's), KTO labels (label,
// kto_tag), Self-Instruct's instances. A prompt or an answer that is text is a turn of the user or the
// assistant.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace volant {

enum class RowFormat {
  kAuto,
  kText,
  kMessages,
  kShareGpt,
  kAlpaca,
  kInstances,
  kPromptCompletion,
  kPreference,
  kKto
};

// "auto", "text", "messages", "sharegpt", "alpaca", "instances", "prompt_completion", "preference", "kto";
// kInvalidArgument names the nearest.
Result<RowFormat> row_format_of(const std::string& name);

struct RowLayout {
  RowFormat format = RowFormat::kAuto;
  // Names of fields here -> in the file: {"prompt", "question"}.
  std::map<std::string, std::string> columns;
};

// {"format"?: name, "columns"?: {ours: theirs}} of a job or a configuration; other keys are not looked at.
Result<RowLayout> row_layout_from_json(const Json& json);

// kParse says which fields are there when they fit no layout, else which field is missing or wrong.
Result<RowFormat> detect_row_format(const JsonObject& row);
Result<std::vector<JsonObject>> canonical_rows(const Json& row, const RowLayout& layout = {});

// What a canonical row asks, equal for all answers to it: the messages before the answer, or a document's
// text; of other rows all that they hold.
std::string prompt_text(const JsonObject& row);

}  // namespace volant
